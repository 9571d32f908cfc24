#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How the partitioner scales: time, certified gap and memory for synthetic networks.

    scale.py TENON_PARTITION [OPS...]

Time is the search alone, the least of seven runs; memory is the peak of the whole process, the problem
and the reading of it included. Handovers cost 1, 5 and 25 times the mean op.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "partition"
sys.path.insert(0, str(TOOLS))
import generate  # noqa: E402  (found through the path above)

SIZES = (100, 1000, 10000, 100000)
HANDOVERS = (1, 5, 25)
RUNS = 7


def measure(tool, path):
    """(ms, gap in percent, peak MB) of one process."""
    child = subprocess.Popen([tool, path], stdout=subprocess.PIPE, text=True)
    words = child.stdout.read().split()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{tool} failed with {status}")
    return float(words[5]), float(words[2]), usage.ru_maxrss / 1024


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    tool = sys.argv[1]
    sizes = [int(word) for word in sys.argv[2:]] or SIZES
    print("| ops | labels | ms at 1x, 5x, 25x | gap % at 1x, 5x, 25x | peak MB |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "problem.txt"
        for ops in sizes:
            for labels in (2, 3, 4):
                rows = []
                for handover in HANDOVERS:
                    generate.problem(ops, labels, seed=handover, handover=handover).write(path)
                    rows.append(min(measure(tool, path) for _ in range(RUNS)))
                times, gaps, peaks = zip(*rows)
                print(f"| {ops} | {labels} | {', '.join(f'{t:.1f}' for t in times)} | "
                      f"{', '.join(f'{g:.2f}' for g in gaps)} | {max(peaks):.0f} |", flush=True)


if __name__ == "__main__":
    main()
