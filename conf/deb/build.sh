#!/bin/sh
# Builds dist/gatehouse_VERSION_ARCHITECTURE.deb from the release preset, without debhelper: the package is a staged folder,
# a control file whose dependencies dpkg-shlibdeps reads off the binary, and the scripts beside this one.
set -eu
cd "$(dirname "$0")/../.."
tests/support/build.sh release gatehouse
conf/packages/install.sh deb

version=$(sed -n 's/^project(gatehouse VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)-1
architecture=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
stage=$work/gatehouse

umask 022
conf/deb/stage.sh "$stage" build/gatehouse
strip --strip-unneeded --remove-section=.comment --remove-section=.note "$stage/usr/sbin/gatehouse"
install -D -m 644 conf/deb/lintian-overrides "$stage/usr/share/lintian/overrides/gatehouse"
{
  echo "gatehouse ($version) unstable; urgency=medium"
  echo
  echo "  * Built from the sources at $(git describe --always --dirty 2>/dev/null || echo "$version")."
  echo
  echo " -- Gatehouse developers <gatehouse@packages.example.org>  $(date -u -R -d "@$SOURCE_DATE_EPOCH")"
} | gzip -9n >"$stage/usr/share/doc/gatehouse/changelog.Debian.gz"

# dpkg-shlibdeps wants a source package around it: an empty one will do.
mkdir -p "$work/debian"
printf 'Source: gatehouse\n\nPackage: gatehouse\nArchitecture: any\n' >"$work/debian/control"
dependencies=$(cd "$work" && dpkg-shlibdeps -O -e"$stage/usr/sbin/gatehouse" 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
[ -n "$dependencies" ] || { echo "error: dpkg-shlibdeps named no dependency" >&2; exit 1; }

mkdir "$stage/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SHLIBS@/$dependencies/" \
  -e "s/@SIZE@/$(du -sk --apparent-size "$stage" | cut -f1)/" conf/deb/control.in >"$stage/DEBIAN/control"
install -m 755 conf/deb/postinst conf/deb/prerm conf/deb/postrm "$stage/DEBIAN/"
(cd "$stage" && find etc -type f -printf '/%p\n' | sort) >"$stage/DEBIAN/conffiles"
(cd "$stage" && find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -printf '%P\0' | LC_ALL=C sort -z |
  xargs -0 md5sum) >"$stage/DEBIAN/md5sums"

mkdir -p dist
dpkg-deb --root-owner-group --build "$stage" dist >/dev/null
echo "==> dist/gatehouse_${version}_$architecture.deb"
