#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Placements of the zoo's networks against optima that HiGHS proved, and against strategies that
imitate other runtimes.

    instances_test.py TENON_PARTITION TENON_PARTITION_BENCH PARTITION_TOOL_FOLDER DATA_FOLDER
"""
import csv
import pathlib
import subprocess
import sys
import unittest

TOOL, BENCH, FOLDER, DATA = (pathlib.Path(a) for a in sys.argv[1:5])
sys.path.insert(0, str(FOLDER))
import problem  # noqa: E402  (found through the path above)


class Instances(unittest.TestCase):
    def test_costs_and_bounds_meet_the_proven_optimum(self):
        with open(DATA / "optimum.csv", encoding="ascii") as lines:
            rows = list(csv.DictReader(lines))
        self.assertEqual(len(rows), len(list(DATA.glob("*.txt"))))
        optimal = 0
        for row in rows:
            answer = problem.solve(TOOL, DATA / f"{row['name']}.txt")
            proven, known = int(row["bound"]), int(row["cost"])
            with self.subTest(row["name"]):
                self.assertGreaterEqual(answer.cost, proven)
                self.assertLessEqual(answer.bound, known)
                self.assertLessEqual(answer.cost, known)
                self.assertLessEqual(answer.gap_percent, 1.0)
            optimal += answer.cost == proven
        print(f"{optimal} of {len(rows)} optimal by proof of HiGHS")

    def test_no_strategy_is_better_anywhere(self):
        files = sorted(DATA.glob("*.txt"))
        self.assertGreater(len(files), 40)
        done = subprocess.run([BENCH, *files], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(done.stdout.splitlines()), 5 * len(files))

    def test_usage_is_told(self):
        for tool in (TOOL, BENCH):
            for arguments, code in ((["--help"], 0), ([], 2), (["--nothing"], 2)):
                done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=10)
                self.assertEqual(done.returncode, code)
                self.assertIn("usage: ", done.stdout if code == 0 else done.stderr)
            done = subprocess.run([tool, DATA / "absent.txt"], capture_output=True, text=True,
                                  timeout=10)
            self.assertEqual(done.returncode, 1)
            self.assertIn("absent.txt", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
