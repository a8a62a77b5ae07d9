#!/bin/sh
# usage: fetch_modsecurity_source.sh DIRECTORY: unpacks Debian's source of libmodsecurity into DIRECTORY/modsecurity-*.
# Uses a private apt state, so that neither the machine's lists nor its installed packages change.
set -eu
directory=$1
mkdir -p "$directory/apt/lists/partial" "$directory/apt/cache/archives/partial"
cd "$directory"
exec 9> lock
flock 9
# Tests run in parallel and ask one by one: one attempt serves them all, a failed one too. Delete the directory to retry.
if [ -e attempted ]; then
  ls -d modsecurity-*/test/test-cases > /dev/null
  exit
fi
: > attempted
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
for entry in "debian bookworm" "debian-security bookworm-security"; do
  echo "deb-src [signed-by=$keyring] http://deb.debian.org/${entry%% *} ${entry##* } main"
done > apt/sources.list
set -- -qq -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
  -o Dir::State::lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" -o APT::Sandbox::User=root
apt-get "$@" update
apt-get "$@" source modsecurity
