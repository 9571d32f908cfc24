#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random small graphs on Tenon and on onnxruntime; every disagreement is shrunk and written out.

    differential.py BRIDGE PLUGIN_FOLDER [--count N] [--seed S] [--only OP,OP] [--out FOLDER]

Graph i of a run is graph S + i of any other: its number is its seed. FOLDER gets SEED/model.onnx
with inputs and onnxruntime's outputs in the layout of ONNX's backend tests, for tenon-onnx-suite.
"""
import argparse
import collections
import pathlib
import shutil
import sys
import time
import warnings

import numpy as np
from onnx import numpy_helper

import known
import ops_flow  # noqa: F401  (registers generators)
import ops_math  # noqa: F401
import ops_nn  # noqa: F401
import ops_shape  # noqa: F401
from graph import Graph, Rejected, run_reference
from judge import judge
from ops import GENERATORS
from shrink import shrink
from tenon import Tenon

SMALLEST_SHARE = 0.6  # of the graphs must have been compared, or the run proves little


class Run:
    def __init__(self, args):
        self.args = args
        self.tenon = Tenon(args.bridge, args.plugins)
        self.outcomes = collections.Counter()
        self.compared = collections.Counter()  # op type -> graphs that were compared
        self.rejected = collections.Counter()
        self.refusals = collections.Counter()
        self.known = collections.Counter()
        self.failures = []
        self.resized = 0

    def check_known(self):
        """Every entry of the list must still have its reason."""
        for entry in known.KNOWN:
            g = entry.example()
            outcome = judge(self.tenon, *g.model(), g.results())
            if not outcome.disagrees or known.find(g, outcome) is not entry:
                self.failures.append((entry.name, "known", outcome))
                print(f"{entry.name}: {outcome.kind} {outcome.text}: no disagreement any more, or "
                      "not this one")

    def generate(self, seed):
        """A graph of one to eight nodes, and whether its sizes are symbols."""
        g = Graph(np.random.default_rng(seed))
        names = self.args.only or list(GENERATORS)
        count, tries = g.int(1, 8), 0
        while len(g.nodes) < count and tries < 20:
            tries += 1
            name = g.choice(names)
            before = len(g.nodes), len(g.values), len(g.leaves)
            try:
                GENERATORS[name](g, name)
            except Rejected as why:
                self.rejected[name] += 1
                if self.args.verbose:
                    print(f"rejected: {why}")
                del g.nodes[before[0]:], g.values[before[1]:], g.leaves[before[2]:]
        return g, g.chance(0.3)

    def one(self, seed):
        g, symbolic = self.generate(seed)
        if not g.nodes:
            self.outcomes["empty"] += 1
            return
        model, inputs = g.model(symbolic)
        outcome = judge(self.tenon, model, inputs, g.results(), symbolic)
        self.outcomes[outcome.kind] += 1
        self.resized += outcome.resized
        if outcome.kind == "same":
            self.compared.update({n.op_type for node in g.nodes for n in known.with_bodies(node)})
        elif outcome.kind in ("refused", "invalid"):
            self.refusals[f"{outcome.kind}: {outcome.text[:150]}"] += 1
        if outcome.disagrees:
            self.report(seed, *shrink(self.tenon, g, outcome.kind, symbolic))

    def report(self, seed, g, symbolic):
        model, inputs = g.model(symbolic)
        outcome = judge(self.tenon, model, inputs, g.results(), symbolic)
        entry = known.find(g, outcome)
        if entry is not None:
            self.known[entry.name] += 1
            return
        ops = ", ".join(n.op_type for n in g.nodes)
        self.failures.append((seed, ops, outcome))
        print(f"seed {seed}: {ops}{' symbolic' if symbolic else ''}: {outcome.kind}: "
              f"{outcome.text}", flush=True)
        if self.args.out:
            write_case(self.args.out / str(seed), model, inputs)

    def summary(self, seconds):
        total = sum(self.outcomes.values())
        print(f"{total} graphs in {seconds:.0f} s: " +
              ", ".join(f"{n} {k}" for k, n in self.outcomes.most_common()) +
              f"; {self.resized} of them with other sizes as well")
        print(f"disagreements that are onnxruntime's: {dict(self.known)}")
        for text, count in self.refusals.most_common(40 if self.args.verbose else 8):
            print(f"  {count} {text}")
        silent = [n for n in GENERATORS if not self.compared[n] and not self.args.only]
        if silent:
            print(f"never compared: {', '.join(silent)}")
        return self.outcomes["same"] >= SMALLEST_SHARE * total and not self.failures


def write_case(folder, model, inputs):
    shutil.rmtree(folder, ignore_errors=True)
    data = folder / "test_data_set_0"
    data.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    outputs = run_reference(model, {v.name: v.array for v in inputs})
    for word, arrays in (("input", [v.array for v in inputs]), ("output", outputs)):
        for i, array in enumerate(arrays):
            proto = numpy_helper.from_array(np.asarray(array))
            (data / f"{word}_{i}.pb").write_bytes(proto.SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bridge", type=pathlib.Path)
    parser.add_argument("plugins", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    run, start = Run(args), time.monotonic()
    if not args.only:
        run.check_known()
    for seed in range(args.seed, args.seed + args.count):
        run.one(seed)
    return 0 if run.summary(time.monotonic() - start) else 1


if __name__ == "__main__":
    sys.exit(main())
