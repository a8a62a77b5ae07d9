#!/bin/sh
# Micro benchmarks (every program build/bench_*), then the comparison with nginx and HAProxy. Arguments go to bench/run.py.
set -eu
cd "$(dirname "$0")/../.."
conf/packages/install.sh build run bench
cmake --preset release -DGATEHOUSE_BENCH=ON -DCMAKE_MESSAGE_LOG_LEVEL=WARNING >/dev/null
cmake --build build
for program in build/bench_*; do
  [ ! -x "$program" ] || "$program"
done
exec bench/run.py "$@"
