#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# clang-format (differences only, nothing is changed), then clang-tidy over every source of the dev
# build, one process a core.
set -eu
cd "$(dirname -- "$0")/.."
git ls-files '*.c' '*.h' | xargs -r clang-format --dry-run --Werror
git ls-files '*.c' | while read -r source; do
    grep -q "\"file\": \"$PWD/$source\"" build/dev/compile_commands.json && echo "$source"
done | xargs -r -P "$(nproc)" -n 1 clang-tidy --quiet -p build/dev
