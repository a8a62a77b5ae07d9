#!/bin/sh
# usage: tests/support/clean_machine.sh [test|run|deb]...      (default: all three; needs root)
# Proves that a fresh Debian 12 needs nothing by hand but `make`: debootstraps one into a temporary folder from this machine's own
# apt mirror, copies a fresh clone of the committed tree into it, and types the commands there.
#   test  make test
#   run   make run, then the three commands that it suggests
#   deb   make deb, then installs the package in a second fresh system, starts it, and asks it for its page
# Everything runs in namespaces of its own, so mounts and processes are gone at the end. KEEP=1 keeps the folder.
set -eu
[ "$(id -u)" -eq 0 ] || { echo "error: run this as root" >&2; exit 1; }
cd "$(dirname "$0")/../.."

if [ -z "${GATEHOUSE_IN_NAMESPACE:-}" ]; then
  command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap
  GATEHOUSE_IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child --mount-proc "tests/support/clean_machine.sh" "$@"
fi
[ $# -gt 0 ] || set -- test run deb

here=$PWD
place=$(mktemp -d "${TMPDIR:-/tmp}/gatehouse-clean.XXXXXX")
cleanup() {
  # The mounts must be gone before anything below them is removed.
  for system in "$place"/*/; do
    for mount in dev proc; do umount -R -l "$system$mount" 2>/dev/null || true; done
  done
  if [ -n "${KEEP:-}" ]; then echo "kept: $place"; else rm -rf --one-file-system "$place"; fi
}
trap cleanup EXIT
trap "exit 130" INT TERM

# The mirrors that this machine's apt already uses for bookworm, one "deb" line each.
sources() {
  # shellcheck disable=SC2016
  apt-get indextargets --format 'deb $(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    grep -E ' bookworm(-updates|-security)? main$' | sort -u
}
mirror=$(sources | awk '$3 == "bookworm" { print $2; exit }')
[ -n "$mirror" ] || { echo "error: apt on this machine knows no mirror of bookworm" >&2; exit 1; }

fresh_system() { # fresh_system NAME: a minimal Debian 12 in $place/NAME
  echo "==> debootstrap $1"
  debootstrap --variant=minbase --include=ca-certificates bookworm "$place/$1" "$mirror" >"$place/$1.log"
  sources >"$place/$1/etc/apt/sources.list"
  apt-config dump --format '%f "%v";%n' Acquire::http::Proxy Acquire::https::Proxy >"$place/$1/etc/apt/apt.conf.d/90proxy"
  cp -L /etc/resolv.conf /etc/hosts "$place/$1/etc/"
  mount --bind /dev "$place/$1/dev"
  mount --bind /dev/pts "$place/$1/dev/pts" 2>/dev/null || true
  mount -t tmpfs tmpfs "$place/$1/dev/shm" 2>/dev/null || true
  mount -t proc proc "$place/$1/proc"
}
inside() { # inside NAME COMMAND: runs it in the system as root with a login's environment
  chroot "$place/$1" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb DEBIAN_FRONTEND=noninteractive /bin/sh -eu -c "$2"
}
clone() { # clone NAME: the committed tree as /root/gatehouse
  git -c safe.directory="$here" clone --quiet --no-hardlinks "$here" "$place/$1/root/gatehouse"
}
wait_for() { # wait_for SYSTEM URL: up to 20 s
  inside "$1" "for i in \$(seq 100); do curl -ks -o /dev/null $2 && exit 0; sleep 0.2; done; echo 'no answer from $2'; exit 1"
}
expect() { # expect WHAT WANTED GOT
  if [ "$2" != "$3" ]; then echo "error: $1: wanted $2, got $3" >&2; exit 1; fi
  echo "ok: $1"
}

site() { # a site for the installed package: a proxied origin, both on loopback ports
  cat <<'TEXT'
server {
    listen 127.0.0.1:18080;
    location / { proxy_pass http://127.0.0.1:18081; }
}
server {
    listen      127.0.0.1:18081;
    modsecurity off;
    return      200 "a site\n";
}
TEXT
}

fresh_system builder
clone builder
# The one thing that is needed to type the two commands.
inside builder 'apt-get update -qq && apt-get install -y -qq --no-install-recommends make >/dev/null'

for what in "$@"; do
  echo "==> $what"
  case $what in
    test)
      inside builder 'cd /root/gatehouse && make test'
      ;;
    run)
      inside builder 'cd /root/gatehouse && exec make run' >"$place/run.log" 2>&1 &
      running=$!
      for _ in $(seq 900); do
        if grep -q 'Gatehouse serves' "$place/run.log"; then break; fi
        kill -0 $running 2>/dev/null || { cat "$place/run.log"; exit 1; }
        sleep 1
      done
      wait_for builder https://localhost:8443/
      expect "clean request" 200 "$(inside builder 'curl -ks -o /dev/null -w "%{http_code}" https://localhost:8443/')"
      expect "attack" 403 "$(inside builder \
        "curl -ks -o /dev/null -w '%{http_code}' -G https://localhost:8443/ --data-urlencode \"q=1' or '1'='1\"")"
      expect "redirect" 301 "$(inside builder 'curl -s -o /dev/null -w "%{http_code}" http://localhost:8080/')"
      expect "lines with [id \"942100\"]" yes "$(grep -q '\[id "942100"\]' "$place/run.log" && echo yes || echo no)"
      inside builder 'curl -s http://127.0.0.1:10254/metrics | grep "^gatehouse_" | head -40'
      kill -QUIT "$(cat "$place/builder/root/gatehouse/run/gatehouse.pid")" 2>/dev/null || kill $running
      wait $running || true
      ;;
    deb)
      inside builder 'cd /root/gatehouse && make deb'
      fresh_system target
      cp "$place"/builder/root/gatehouse/dist/*.deb "$place/target/root/"
      printf '#!/bin/sh\nexit 101\n' >"$place/target/usr/sbin/policy-rc.d"
      chmod +x "$place/target/usr/sbin/policy-rc.d"
      inside target 'apt-get update -qq && apt-get install -y -qq --no-install-recommends curl /root/*.deb >/dev/null'
      site >"$place/target/etc/gatehouse/sites/check.conf"
      inside target 'gatehouse -v && gatehouse -t'
      inside target 'install -d -o gatehouse /run/gatehouse && gatehouse'
      wait_for target https://localhost/
      expect "the installed service" 200 "$(inside target 'curl -ks -o /dev/null -w "%{http_code}" https://localhost/')"
      expect "a site" 200 "$(inside target 'curl -s -o /dev/null -w "%{http_code}" http://127.0.0.1:18080/')"
      expect "an attack on it" 403 "$(inside target \
        "curl -s -o /dev/null -w '%{http_code}' -G http://127.0.0.1:18080/ --data-urlencode \"q=1' or '1'='1\"")"
      inside target 'gatehouse -s quit && rm /etc/gatehouse/sites/check.conf && apt-get purge -y -qq gatehouse >/dev/null'
      expect "what a purge leaves" "" "$(inside target 'ls -d /etc/gatehouse /var/log/gatehouse /var/lib/gatehouse 2>/dev/null || true')"
      ;;
    *) echo "error: test, run or deb, not '$what'" >&2; exit 1 ;;
  esac
done
echo "clean machine: everything asked for works"
