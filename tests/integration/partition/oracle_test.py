#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Published placements of neural networks with known optima, where they lie beside the repository.

    oracle_test.py TENON_PARTITION PARTITION_TOOL_FOLDER ORACLE_FOLDER

Plans are priced here again, from the decimals of the files and without rounding; what is left to
allow is the last digit of the published numbers. Times are printed and never judged.
"""
import csv
import fractions
import pathlib
import statistics
import sys
import tempfile
import unittest

TOOL, FOLDER, ORACLE = (pathlib.Path(a) for a in sys.argv[1:4])
sys.path.insert(0, str(FOLDER))
import problem  # noqa: E402  (found through the path above)

# Costs are read as integers of a thousandth: each of the costs that add up may be off by half of it.
HALF_UNIT = fractions.Fraction(1, 2000)
# With every cost so much larger, a thousandth is less than the files' decimals.
SCALE = 10 ** 6
# Published optima are HiGHS's, which stops at this relative gap.
SOLVER_GAP = fractions.Fraction(1, 10 ** 7)


def published(text):
    """A number of nine digits (zeros at its end left out), and half of the last: how far off it is."""
    whole = text.split(".")[0]
    return fractions.Fraction(text), fractions.Fraction(1, 2 * 10 ** (9 - len(whole)))


def enlarge(read):
    """Every cost times SCALE, UNSUPPORTED aside."""
    def times(matrix):
        return [[cost * SCALE if cost >= 0 else cost for cost in row] for row in matrix]

    read.handover, read.ops = times(read.handover), times(read.ops)
    for tensor in read.tensors:
        tensor.copy = times(tensor.copy)
    return read


class Oracle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(ORACLE / "optimum.csv", encoding="ascii") as lines:
            cls.rows = list(csv.DictReader(lines))

    def solve(self, row):
        """The answer to the enlarged problem; its cost as the file's decimals add up; and how much
        rounding may have moved any cost. The file as it is has to be answered as well as rounding
        allows."""
        path = ORACLE / "instances" / f"{row['name']}.txt"
        exact = problem.read(path, fractions.Fraction)
        best, unsure = published(row["best_ub_sync"])
        plain = problem.solve(TOOL, path, "--plan")
        cost, parts = problem.price(exact, plain.labels, plain.order)
        self.assertLessEqual(abs(fractions.Fraction(plain.cost) - cost), parts * HALF_UNIT)
        self.assertLessEqual(cost, best + unsure + 2 * parts * HALF_UNIT, row["name"])
        with tempfile.TemporaryDirectory() as folder:
            enlarged = pathlib.Path(folder) / "enlarged.txt"
            enlarge(problem.read(path, fractions.Fraction)).write(enlarged)
            answer = problem.solve(TOOL, enlarged, "--plan")
        cost, parts = problem.price(exact, answer.labels, answer.order)
        rounding = parts * HALF_UNIT / SCALE
        self.assertLessEqual(abs(fractions.Fraction(answer.cost) / SCALE - cost), rounding)
        return answer, cost, rounding

    def of(self, labels):
        """(row, answer, cost) of every instance with that many labels, checked."""
        chosen = [row for row in self.rows if int(row["k"]) == labels]
        self.assertEqual(len(chosen), 16)
        found = []
        for row in chosen:
            answer, cost, rounding = self.solve(row)
            best, unsure = published(row["best_ub_sync"])
            self.assertLessEqual(cost, best + unsure, row["name"])
            self.assertLessEqual(fractions.Fraction(answer.bound) / SCALE, best + unsure + rounding)
            # The published bound is below every plan.
            least, unsure = published(row["milp_sync"])
            self.assertGreaterEqual(cost, least * (1 - SOLVER_GAP) - unsure, row["name"])
            found.append((row, answer, cost))
        times = [answer.ms for _, answer, _ in found]
        gaps = [answer.gap_percent for _, answer, _ in found]
        print(f"{labels} labels: gap {statistics.mean(gaps):.4f} % mean, {max(gaps):.4f} % worst; "
              f"{statistics.mean(times):.1f} ms mean, {max(times):.1f} ms worst")
        return found

    def test_two_labels_are_optimal(self):
        for row, answer, cost in self.of(2):
            optimum, unsure = published(row["milp_sync"])
            self.assertLessEqual(cost, optimum + unsure, row["name"])
            self.assertLessEqual(answer.gap_percent, 0.000001, row["name"])

    def test_more_labels_are_near_optimal(self):
        for labels in (3, 4):
            found = self.of(labels)
            for row, answer, _ in found:
                self.assertLessEqual(answer.gap_percent, 1.0, row["name"])
            self.assertLessEqual(statistics.mean(a.gap_percent for _, a, _ in found), 0.3)


if __name__ == "__main__":
    if not ORACLE.is_dir():
        print(f"skipped: {ORACLE} is not there")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
