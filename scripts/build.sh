#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Configures (once) and builds the given presets: scripts/build.sh dev asan
set -eu
cd "$(dirname -- "$0")/.."
for preset in "$@"; do
    if [ ! -f "build/$preset/build.ninja" ]; then
        mkdir -p "build/$preset"
        cmake --preset "$preset" >"build/$preset/configure.log" 2>&1 ||
            { cat "build/$preset/configure.log" >&2; exit 1; }
    fi
    cmake --build "build/$preset" -- --quiet
done
