#!/bin/sh
# usage: tests/support/build.sh [PRESET [TARGET...]]
# Installs the compiler and libraries if they are missing, then configures and builds one CMake preset.
set -eu
cd "$(dirname "$0")/../.."
preset=${1:-release}
[ $# -eq 0 ] || shift

lists=build
[ "$preset" != gcc ] || lists="build lint"
# shellcheck disable=SC2086
conf/packages/install.sh $lists

case $preset in
  release) folder=build ;;
  *) folder=build-$preset ;;
esac
echo "==> building preset '$preset' in $folder/"
if [ ! -f "$folder/build.ninja" ]; then
  cmake --preset "$preset" -DCMAKE_MESSAGE_LOG_LEVEL=WARNING
fi
if [ $# -eq 0 ]; then
  cmake --build "$folder"
else
  cmake --build "$folder" --target "$@"
fi
