#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh BUILD_DIR: what `make demo` shows. A trained classifier on images it has never seen, then a
# ResNet-50 with seeded weights.
set -eu
build=$1
here=$(dirname -- "$0")
root=$here/../..
cli=$build/bin/tenon
zoo=$root/build/zoo

echo
echo "== Handwritten digits: a trained network, images it has never seen"
echo
"$build/bin/tenon-digits" "$here/digits.onnx" "$here/held_out.bin" --draw 3

echo
echo "== Which plugins were found and opened"
echo
"$cli" plugins

if [ ! -f "$zoo/resnet50.onnx" ]; then
    echo
    echo "demo: writing a ResNet-50 with seeded weights to build/zoo" >&2
    "$root/.venv/bin/python" "$root/tools/zoo/zoo.py" resnet50 --out "$zoo" >/dev/null
fi
echo
echo "== ResNet-50 (seeded weights, random image): it computes what a trained one computes"
echo
"$cli" run "$zoo/resnet50.onnx"
