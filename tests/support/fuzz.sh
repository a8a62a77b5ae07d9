#!/bin/sh
# Runs every fuzz target for SECONDS_EACH (default 60) seconds from its corpus; what it learns stays in build-fuzz/.
set -eu
cd "$(dirname "$0")/../.."
tests/support/build.sh fuzz

failed=
for target in build-fuzz/fuzz_*; do
  if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
  name=${target#build-fuzz/fuzz_}
  seeds=tests/fuzz/corpus/$name
  learnt=build-fuzz/corpus/$name
  dictionary=tests/fuzz/$name.dict
  mkdir -p "$learnt" "build-fuzz/findings/$name"
  echo "==> $name, ${SECONDS_EACH:-60} s"
  set -- -max_total_time="${SECONDS_EACH:-60}" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="build-fuzz/findings/$name/"
  [ ! -f "$dictionary" ] || set -- "$@" -dict="$dictionary"
  "$target" "$@" "$learnt" "$seeds" || failed="$failed $name"
done
if [ -n "$failed" ]; then
  echo "fuzz: findings in:$failed (inputs in build-fuzz/findings/)" >&2
  exit 1
fi
echo "fuzz: no finding"
