#!/bin/sh
# usage: run_mutations.sh [COUNT [LEVEL [SEED]]]: COUNT (default 1000000) mutated requests through the fast path and libmodsecurity, with
# CRS at paranoia level 1 (default) or 4, on all cores; the release build. Prints its progress and the totals. Fails when the fast path
# skips what the library sees, with the command that does that request again.
set -eu
here=$(dirname "$(readlink -f "$0")")
build=$here/../../build
case ${2:-1} in
  1) rules=$here/../../rules/gatehouse-crs.conf ;;
  4) rules=$here/crs-tests.conf ;;
  *) echo "LEVEL is 1 or 4" >&2; exit 2 ;;
esac
"$here/../support/build.sh" release waf_mutations
"$here/fetch_crs_tests.sh" "$build/crs-tests"
exec "$build/waf_mutations" "$rules" "$build/crs-tests/crs-requests.jsonl" "${1:-1000000}" "${3:-1}" "$(nproc)"
