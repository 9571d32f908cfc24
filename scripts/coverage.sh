#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Line coverage of the tests: scripts/coverage.sh [FOLDER [MINIMUM_PERCENT]]
# Prints a table for the files below FOLDER (default: everything that ships); fails if the total is
# below the minimum. Pages with the lines are in build/coverage/html.
set -eu
cd "$(dirname -- "$0")/.."
folder=${1:-'(abi|core|partitioner|plugins|tools)'}
minimum=${2:-0}
scripts/build.sh coverage
find build/coverage -name '*.gcda' -delete
ctest --test-dir build/coverage --label-exclude '^(tree|slow)$' --parallel "$(nproc)" \
    --output-on-failure --progress
mkdir -p build/coverage/html
status=0
gcovr --root . --filter "$folder/" --fail-under-line "$minimum" \
    --html-details build/coverage/html/index.html --txt build/coverage/lines.txt build/coverage ||
    status=$?
cat build/coverage/lines.txt
exit $status
