#!/bin/sh
# usage: fetch_crs_tests.sh DIRECTORY: unpacks Debian's source of modsecurity-crs into DIRECTORY/modsecurity-crs-*, once, and writes its
# regression tests to DIRECTORY/crs-requests.jsonl. Uses a private apt state: the machine's lists and packages do not change.
set -eu
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$1/apt/lists/partial" "$1/apt/cache/archives/partial"
cd "$1"
exec 9> lock
flock 9
if [ ! -s crs-requests.jsonl ]; then
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  for entry in "debian bookworm" "debian-security bookworm-security"; do
    echo "deb-src [signed-by=$keyring] http://deb.debian.org/${entry%% *} ${entry##* } main"
  done > apt/sources.list
  set -- -qq -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o APT::Sandbox::User=root
  timeout 120 apt-get "$@" update
  timeout 120 apt-get "$@" source modsecurity-crs
  python3 "$here/crs_tests_to_json.py" modsecurity-crs-*/tests/regression/tests > crs-requests.new
  mv crs-requests.new crs-requests.jsonl
fi
