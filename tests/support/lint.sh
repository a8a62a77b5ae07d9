#!/bin/sh
# Formatting, shell scripts, the layers' include rule, and clang-tidy; changes nothing and fails on any finding.
set -eu
cd "$(dirname "$0")/../.."
conf/packages/install.sh build lint

echo "==> clang-format"
tests/support/format.sh --check
echo "==> shellcheck"
find .ci conf tests bench -type f \( -name '*.sh' -o -path '.ci/*' \) -print0 | xargs -0 shellcheck
echo "==> layers"
/usr/bin/python3 tests/support/check_layers.py
echo "==> clang-tidy"
cmake --preset debug -DCMAKE_MESSAGE_LOG_LEVEL=WARNING >/dev/null
run-clang-tidy-19 -quiet -p build-debug -j "$(nproc)" "$PWD/(proxy|waf|certs)/.*" 2>&1 |
  /usr/bin/python3 -c '
import sys
lines = [l for l in sys.stdin if not l.startswith(("clang-tidy-19 ", "[")) and "warnings generated" not in l]
sys.stdout.writelines(lines)
sys.exit(any(" error: " in l or " warning: " in l for l in lines))'
echo "lint: clean"
