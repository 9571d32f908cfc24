#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the optimum of every problem here with HiGHS and writes optimum.csv: name, the proven lower
bound and the best cost known. It takes some minutes.

    prove.py TENON_PARTITION

The partitioner only offers a cost that is possible; what is proven, HiGHS proves.
"""
import os
import pathlib
import sys

os.environ["OMP_NUM_THREADS"] = "1"
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(ROOT / "tools" / "partition"), str(ROOT / "tests/integration/partition")]
import exact  # noqa: E402  (found through the path above)
import problem  # noqa: E402


def main():
    rows = ["name,bound,cost"]
    for path in sorted(HERE.glob("*.txt")):
        known = round(problem.solve(sys.argv[1], path).cost)
        bound, cost = exact.optimum(problem.read(path), known, seconds=300.0, rounds=60)
        rows.append(f"{path.stem},{bound},{cost}")
        print(rows[-1], flush=True)
    (HERE / "optimum.csv").write_text("\n".join(rows) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
