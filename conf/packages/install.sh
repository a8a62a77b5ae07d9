#!/bin/sh
# usage: conf/packages/install.sh LIST...
# Installs the Debian packages of conf/packages/LIST.txt that are missing, as root or through sudo. Silent when none is.
set -eu
here=$(dirname "$0")

wanted=$(for list in "$@"; do sed 's/#.*//' "$here/$list.txt"; done | tr -s ' \t' '\n' | sort -u)
missing=
for package in $wanted; do
  case $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true) in
    installed*) ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

echo "==> installing Debian packages:$missing"
if [ "$(id -u)" -eq 0 ]; then
  as_root=
elif command -v sudo >/dev/null; then
  as_root=sudo
else
  echo "error: run this as root, or install sudo, or install the packages above by hand" >&2
  exit 1
fi

install() {
  # --no-install-recommends: the lists are complete. The time-out covers another apt at work on the machine.
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold install -y -qq --no-install-recommends $missing
}

# No daemon that a package brings along (nginx, haproxy) may start on this machine because it is a test's reference.
# An administrator's own policy, if there is one, stays untouched.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod +x "$policy"
  trap '$as_root rm -f "$policy"' EXIT
  trap 'exit 130' INT TERM
fi

# The package index is fetched when there is none yet, or when the one at hand names files that are gone.
# shellcheck disable=SC2086
if ! apt-cache show $missing >/dev/null 2>&1 || ! install; then
  echo "==> apt-get update"
  $as_root apt-get -o DPkg::Lock::Timeout=300 update -qq
  install
fi
