#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The demonstration: builds what is shipped and runs the examples that show it at work.
set -eu
cd "$(dirname -- "$0")/.."
if [ ! -x examples/digits/demo.sh ]; then
    echo "demo: examples/digits/demo.sh is missing" >&2
    exit 3
fi
echo "demo: building (build/release)" >&2
scripts/build.sh release
exec examples/digits/demo.sh build/release
