#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Benchmarks against named peers; results that were kept are in bench/RESULTS.md.
set -eu
cd "$(dirname -- "$0")/.."
if [ ! -x bench/run.sh ]; then
    echo "bench: bench/run.sh is missing" >&2
    exit 3
fi
scripts/build.sh release
exec bench/run.sh build/release
