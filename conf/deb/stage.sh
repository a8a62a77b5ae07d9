#!/bin/sh
# usage: conf/deb/stage.sh DESTINATION BINARY
# Puts everything that is installed below DESTINATION, as the package has it. Files under etc/ that exist already are kept.
set -eu
destination=${1%/}
binary=$2
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^project(gatehouse VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)

put() { # put MODE SOURCE TARGET
  install -D -m "$1" "$2" "$destination$3"
}
put_configuration() { # the same, but never over an administrator's file
  [ -e "$destination$2" ] || put 644 "$1" "$2"
}

put 755 "$binary" /usr/sbin/gatehouse
put 644 conf/deb/gatehouse.service /lib/systemd/system/gatehouse.service
put_configuration conf/deb/gatehouse.logrotate /etc/logrotate.d/gatehouse
put_configuration conf/gatehouse.conf /etc/gatehouse/gatehouse.conf
install -d -m 755 "$destination/etc/gatehouse/sites"
for file in rules/*; do
  case $file in
    *.md) put 644 "$file" "/usr/share/doc/gatehouse/rules/${file##*/}" ;;
    *.py) ;; # makes unicode.mapping; needed only when it changes
    *) [ -d "$file" ] || put_configuration "$file" "/etc/gatehouse/$file" ;;
  esac
done

documentation=/usr/share/doc/gatehouse
put 644 conf/deb/copyright "$documentation/copyright"
[ ! -e conf/DIRECTIVES.md ] || put 644 conf/DIRECTIVES.md "$documentation/DIRECTIVES.md"
for file in conf/examples/*; do
  put 644 "$file" "$documentation/examples/${file##*/}"
done

manual=$destination/usr/share/man/man8/gatehouse.8
install -d "${manual%/*}"
date=$(date -u -d "@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}" +%Y-%m-%d)
sed "s/@VERSION@/$version/; s/@DATE@/$date/" conf/deb/gatehouse.8 | gzip -9n >"$manual.gz"
chmod 644 "$manual.gz"
