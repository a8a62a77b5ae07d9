#!/bin/sh
# The end-to-end and attack tests alone, on the ASan binary. PYTEST_ARGS is handed to pytest.
set -eu
cd "$(dirname "$0")/../.."
conf/packages/install.sh build run test
tests/support/build.sh asan gatehouse
# shellcheck disable=SC2086
exec /usr/bin/python3 -m pytest ${PYTEST_ARGS:-tests/e2e tests/attack}
