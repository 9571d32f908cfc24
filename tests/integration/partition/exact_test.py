#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The partitioner against exact optima of graphs of 20 to 60 ops (exact.py).

    exact_test.py TENON_PARTITION PARTITION_TOOL_FOLDER [--graphs N] [--most-ops N] [--seconds S]
        [--first SEED]

A problem whose optimum is not found in time counts as open; its bounds still judge.
"""
import argparse
import os
import pathlib
import random
import sys
import tempfile

os.environ["OMP_NUM_THREADS"] = "1"
try:
    import exact
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

# Of the problems with three or four labels.
LEAST_OPTIMAL = 0.995
MOST_OPEN = 0.05


def draw(seed, most_ops, generate):
    rng = random.Random(seed)
    return generate.problem(ops=rng.randint(20, most_ops), labels=2 + seed % 3, seed=seed,
                            handover=rng.choice((0.3, 1, 5, 25)), copy=rng.choice((0.25, 1, 2)),
                            holes=rng.choice((0, 0.05, 0.2)), uneven=rng.random() < 0.5,
                            shape=rng.choice(("networks", "graphs")))


class Tally:
    def __init__(self):
        self.graphs = self.optimal = self.proven = self.open = 0
        self.worst = 0.0

    def add(self, answer, lower, upper):
        self.graphs += 1
        self.open += lower < upper
        self.optimal += lower == upper == answer.cost
        self.proven += answer.bound == answer.cost
        self.worst = max(self.worst, 100 * (answer.cost - upper) / upper)


def complaints(name, answer, lower, upper):
    if answer.cost < lower:
        yield f"{name}: cost {answer.cost}, but no plan is below {lower}"
    if answer.bound > upper:
        yield f"{name}: bound {answer.bound}, but {upper} is possible"


def judge(tallies):
    two = tallies[2]
    if two.optimal < two.graphs:
        yield f"two labels: only {two.optimal} of {two.graphs} optimal"
    more = [tallies[3], tallies[4]]
    graphs, open_ = sum(t.graphs for t in more), sum(t.open for t in more)
    if sum(t.optimal for t in more) < LEAST_OPTIMAL * (graphs - open_):
        yield f"more labels: fewer than {LEAST_OPTIMAL:.1%} optimal"
    if open_ > MOST_OPEN * graphs:
        yield f"{open_} of {graphs} left open: nothing is shown"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tool", type=pathlib.Path)
    parser.add_argument("folder")
    parser.add_argument("--graphs", type=int, default=60)
    parser.add_argument("--most-ops", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    sys.path.insert(0, options.folder)
    import generate
    import problem
    tallies = {labels: Tally() for labels in (2, 3, 4)}
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "problem.txt"
        for seed in range(options.first, options.first + options.graphs):
            drawn = draw(seed, options.most_ops, generate)
            drawn.write(path)
            answer = problem.solve(options.tool, path)
            lower, upper = exact.optimum(drawn, round(answer.cost), options.seconds)
            tallies[drawn.labels].add(answer, lower, upper)
            wrong += complaints(f"seed {seed}", answer, lower, upper)
            if answer.cost > upper:
                print(f"seed {seed}: {drawn.name} costs {answer.cost}, possible is {upper}")
    for labels, t in tallies.items():
        print(f"{labels} labels: {t.optimal} of {t.graphs} optimal, {t.proven} proven by the plan's "
              f"own bound, {t.open} open; worst {t.worst:.2f} % above")
    wrong += judge(tallies)
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
