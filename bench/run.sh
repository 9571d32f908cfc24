#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# run.sh BUILD_DIR: the benchmarks. Each compares against a named peer, pair by pair in one run.
set -eu
build=$1
here=$(dirname -- "$0")
root=$here/..
zoo=$root/build/zoo
[ -f "$zoo/resnet50.onnx" ] ||
    "$root/.venv/bin/python" "$root/tools/zoo/zoo.py" resnet50 --out "$zoo" >/dev/null
"$root/.venv/bin/python" "$here/host.py" "$build/bin/tenon" "$build/lib/tenon/plugins"
"$root/.venv/bin/python" "$here/start.py" "$build/bin/tenon" "$zoo/resnet50.onnx"
"$root/.venv/bin/python" "$here/partition/compare.py" "$build/bench/partition/tenon-partition-bench" \
    "$root"/tests/data/partition/*.txt
exec "$root/.venv/bin/python" "$here/partition/scale.py" "$build/tools/partition/tenon-partition"
