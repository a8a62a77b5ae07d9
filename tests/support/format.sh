#!/bin/sh
# Rewrites every C++ source in the project's format; with --check only says which files differ, and fails.
set -eu
cd "$(dirname "$0")/../.."
conf/packages/install.sh lint
mode=-i
[ "${1:-}" != --check ] || mode='--dry-run --Werror'
# shellcheck disable=SC2086
find proxy waf certs bench tests \( -name '*.cpp' -o -name '*.hpp' \) -print0 2>/dev/null | xargs -0 -r clang-format-19 $mode
