#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Published placements of neural networks with known optima, where they lie beside the repository.

    oracle_test.py TENON_PARTITION PARTITION_TOOL_FOLDER ORACLE_FOLDER

Times are printed and never judged.
"""
import csv
import pathlib
import statistics
import sys
import unittest

TOOL, FOLDER, ORACLE = (pathlib.Path(a) for a in sys.argv[1:4])
sys.path.insert(0, str(FOLDER))
import problem  # noqa: E402  (found through the path above)

# Costs are read as integers of a thousandth, so each op and copy may be off by half of that.
ROUNDING = 0.001


class Oracle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(ORACLE / "optimum.csv", encoding="ascii") as lines:
            cls.rows = list(csv.DictReader(lines))
        cls.answers = {row["name"]: problem.solve(TOOL, ORACLE / "instances" / f"{row['name']}.txt")
                       for row in cls.rows}

    def of(self, labels):
        """(row, answer) of every instance with that many labels."""
        chosen = [(row, self.answers[row["name"]]) for row in self.rows if int(row["k"]) == labels]
        self.assertEqual(len(chosen), 16)
        times = [answer.ms for _, answer in chosen]
        gaps = [answer.gap_percent for _, answer in chosen]
        print(f"{labels} labels: gap {statistics.mean(gaps):.4f} % mean, {max(gaps):.4f} % worst; "
              f"{statistics.mean(times):.1f} ms mean, {max(times):.1f} ms worst")
        return chosen

    def check(self, row, answer):
        tolerance = int(row["n"]) * ROUNDING
        self.assertLessEqual(answer.cost, float(row["best_ub_sync"]) + tolerance, row["name"])
        # The published bound is below every plan, and so is ours below every known one.
        self.assertGreaterEqual(answer.cost, float(row["milp_sync"]) - tolerance, row["name"])
        self.assertLessEqual(answer.bound, float(row["best_ub_sync"]) + tolerance, row["name"])

    def test_two_labels_are_optimal(self):
        for row, answer in self.of(2):
            self.check(row, answer)
            self.assertLessEqual(answer.cost, float(row["milp_sync"]) + int(row["n"]) * ROUNDING)
            self.assertLessEqual(answer.gap_percent, 0.001, row["name"])

    def test_more_labels_are_near_optimal(self):
        for labels in (3, 4):
            chosen = self.of(labels)
            for row, answer in chosen:
                self.check(row, answer)
                self.assertLessEqual(answer.gap_percent, 1.0, row["name"])
            self.assertLessEqual(statistics.mean(a.gap_percent for _, a in chosen), 0.3)


if __name__ == "__main__":
    if not ORACLE.is_dir():
        print(f"skipped: {ORACLE} is not there")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
