#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs every libFuzzer target for some seconds each: scripts/fuzz.sh [seconds] [target...]
# New inputs and findings stay in build/fuzz/; seeds are the corpora in the tree.
set -eu
cd "$(dirname -- "$0")/.."
seconds=${1:-60}
[ $# -eq 0 ] || shift
scripts/build.sh fuzz
list=build/fuzz/fuzz-targets.txt
if ! grep -q . "$list"; then
    echo "fuzz: no target is defined" >&2
    exit 1
fi
failed=0
while read -r target corpus; do
    [ -n "$target" ] || continue
    case " $* " in "  " | *" $target "*) ;; *) continue ;; esac
    work=build/fuzz/corpus/$target
    mkdir -p "$work" "build/fuzz/findings/$target"
    echo "== $target ($seconds s)"
    # shellcheck disable=SC2086
    "build/fuzz/fuzz/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/findings/$target/" \
        "$work" $corpus || failed=1
done <"$list"
exit $failed
