#!/bin/sh
# usage: run_fastpath_differential.sh WAF_FASTPATH DIRECTORY [MUTATIONS]: CRS' own regression tests, clean traffic and mutations of both
# through the fast path and libmodsecurity, at paranoia levels 1 and 4, and over a rule set that is built as CRS 4 is. Fails when the
# fast path skips what the library sees. DIRECTORY
# caches the tests; without a network and a cache only the clean traffic and its mutations are run.
set -eu
here=$(dirname "$(readlink -f "$0")")
program=$1
directory=$2
mutations=${3:-1500}
requests=-
if [ -s "$directory/crs-requests.jsonl" ] || "$here/fetch_crs_tests.sh" "$directory"; then
  requests=$directory/crs-requests.jsonl
fi
"$program" "$here/../../rules/gatehouse-crs.conf" "$requests" "$mutations" 1 5000
"$program" "$here/crs4-shape.conf" "$requests" "$mutations" 3 1000
exec "$program" "$here/crs-tests.conf" "$requests" "$((mutations / 5))" 2 200
