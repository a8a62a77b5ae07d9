#!/bin/sh
# usage: run_crs_tests.sh WAF_REPLAY DIRECTORY: CRS' own regression tests, in this process' engine, at paranoia level 4. Exactly the
# tests of crs-known-failures.txt may fail. DIRECTORY caches the tests; without a network and a cache the test is skipped (exit 77).
set -eu
here=$(dirname "$(readlink -f "$0")")
if ! "$here/fetch_crs_tests.sh" "$2"; then
  echo "the source package of modsecurity-crs could not be fetched"
  exit 77
fi
exec "$1" "$here/crs-tests.conf" "$2/crs-requests.jsonl" "$here/crs-known-failures.txt"
