#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Builds and runs the tests: everything in the dev build, then everything that makes sense under
# AddressSanitizer and UndefinedBehaviorSanitizer, then the tests labelled threads under
# ThreadSanitizer. --long runs everything under all three, with both compilers, and the slow tests. The last line says how many passed and failed; the exit status agrees.
set -u
cd "$(dirname -- "$0")/.." || exit 1

presets="dev asan tsan"
skip_labels='^slow$'
if [ "${1:-}" = --long ]; then
    presets="dev asan tsan dev-clang asan-clang"
    skip_labels='^$'
fi

jobs=$(nproc)
reports=
for preset in $presets; do
    # Source checks do not depend on how the code was compiled; once is enough.
    skip=$skip_labels
    [ "$preset" = dev ] || skip="$skip_labels|^tree$"
    only='.*'
    [ "$preset$skip_labels" = 'tsan^slow$' ] && only='^threads$'
    report=build/$preset/junit.xml
    reports="$reports $preset=$report"
    rm -f "$report"
    printf '== %s: build\n' "$preset"
    if ! scripts/build.sh "$preset"; then
        # No report: the summary counts this as a failure and says so.
        printf '== %s: the build failed\n' "$preset"
        continue
    fi
    printf '== %s: test\n' "$preset"
    # The verdict is the summary's: it also notices tests that ctest would let pass as "not run".
    ctest --test-dir "build/$preset" --label-regex "$only" --label-exclude "$skip" --parallel "$jobs" \
        --output-on-failure --output-junit junit.xml --progress || true
done

# shellcheck disable=SC2086
exec /usr/bin/python3 scripts/test_summary.py --floor-file scripts/test-floor.txt $reports
