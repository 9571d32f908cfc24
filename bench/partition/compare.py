#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The partitioner beside strategies that imitate other runtimes: tables from tenon-partition-bench.

    compare.py TENON_PARTITION_BENCH FILES...

For each set of problems (what follows the first dot of a name, or the number of labels) and strategy:
cost beside the partitioner's (geometric mean, worst), handovers, copies and bytes (means).
"""
import collections
import math
import re
import subprocess
import sys

STRATEGIES = {"tenon": "Tenon", "priority": "priority order (ONNX Runtime)",
              "fastest": "fastest for each op (NNAPI)",
              "largest": "largest partition (TFLite GPU)", "expand": "expand neighbours (ggml)"}


def family(name):
    stem = name.removesuffix(".txt")
    labels = re.search(r"_k(\d)", stem)
    return f"{labels[1]} labels" if labels else stem.partition(".")[2]


def main():
    if len(sys.argv) < 3 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
    rows = collections.defaultdict(dict)  # [problem][decider]
    for line in done.stdout.splitlines():
        name, decider, *numbers = line.split()
        rows[name][decider] = [float(n) for n in numbers]
    families = collections.defaultdict(list)
    for name, answers in rows.items():
        families[family(name)].append(answers)
    print("| problems | decided by | cost, mean | cost, worst | handovers | copies | MB copied |")
    print("|---|---|---|---|---|---|---|")
    for title, group in families.items():
        for decider, words in STRATEGIES.items():
            ratios = [a[decider][0] / a["tenon"][0] for a in group]
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            handovers, copies, size = (sum(a[decider][i] for a in group) / len(group)
                                       for i in (1, 2, 3))
            print(f"| {title} ({len(group)}) | {words} | {mean:.2f} | {max(ratios):.2f} | "
                  f"{handovers:.0f} | {copies:.0f} | {size / 1e6:.1f} |")
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
