#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long until a model is ready to run, and what that costs in memory, beside onnxruntime.

    start.py TENON MODEL [PAIRS]

Pairs of whole processes in turn: `tenon inspect` (host without plugins, import, canonical graph)
against a Python process that makes an onnxruntime session with graph optimisation off, less a
process that only imports onnxruntime. Medians. Both sides map or read the same warm file.
"""
import os
import platform
import statistics
import subprocess
import sys
import time

PEER = ("import onnxruntime as o, sys; s = o.SessionOptions();"
        "s.graph_optimization_level = o.GraphOptimizationLevel.ORT_DISABLE_ALL;"
        "s.intra_op_num_threads = 1; o.InferenceSession(sys.argv[1], s)")
EMPTY = "import onnxruntime"


def measure(command):
    """Wall seconds and peak resident KiB of one process."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed with {status}")
    return time.perf_counter() - begin, usage.ru_maxrss


def main():
    tenon, model = sys.argv[1:3]
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 15
    import onnxruntime
    commands = {
        "tenon": [tenon, "inspect", model],
        "onnxruntime": [sys.executable, "-c", PEER, model],
        "empty": [sys.executable, "-c", EMPTY],
    }
    rows = {name: [] for name in commands}
    for round_ in range(pairs + 1):
        for name, command in commands.items():
            row = measure(command)
            if round_ > 0:  # the first round warms the file cache
                rows[name].append(row)
    wall = {name: statistics.median(r[0] for r in row) for name, row in rows.items()}
    peak = {name: statistics.median(r[1] for r in row) for name, row in rows.items()}
    session = wall["onnxruntime"] - wall["empty"]
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; onnxruntime "
          f"{onnxruntime.__version__}; {pairs} pairs, medians")
    print(f"import to canonical graph: tenon {wall['tenon'] * 1e3:.1f} ms (whole process), "
          f"onnxruntime session without optimisation {session * 1e3:.1f} ms (start-up subtracted): "
          f"ratio {session / wall['tenon']:.1f}")
    print(f"peak resident memory: tenon {peak['tenon'] / 1024:.0f} MiB, onnxruntime "
          f"{(peak['onnxruntime'] - peak['empty']) / 1024:.0f} MiB above its empty process")


if __name__ == "__main__":
    main()
