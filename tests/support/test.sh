#!/bin/sh
# Everything that must pass: unit tests and fuzz corpora in the release and the ASan + UBSan build, the end-to-end and attack
# tests against the ASan binary, and a smoke slice against the release binary. The last line says how it ended.
set -eu
cd "$(dirname "$0")/../.."
conf/packages/install.sh build run test
tests/support/build.sh release
tests/support/build.sh asan
exec /usr/bin/python3 tests/support/run_suites.py
