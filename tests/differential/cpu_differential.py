# SPDX-License-Identifier: Apache-2.0
"""Random graphs on the cpu plugin, compared with the reference plugin, in one process."""
import argparse
import collections
import pathlib
import sys
import time
import warnings

import numpy as np
from onnx import numpy_helper

import cpu_ops_integers  # noqa: F401 - its generators list themselves
import cpu_ops_rows  # noqa: F401
from cpu_graph import BATCH, Graph, ancestors
from cpu_ops import STEPS
from tenon import Failed, Refused, Tenon

PRECISIONS = {"written": 0, "strict": 2}
FAST = 1
SMALLEST_SHARE = 0.9  # of the graphs must have been the plugin's as a whole
SMALLEST_NODES = 4  # for each graph, on average, that the plugin ran and that agreed
LARGEST = 1e4  # of values that are compared: above, errors say little
TOLERANCE = 1e-4


class Run:
    def __init__(self, args):
        self.args = args
        self.reference = Tenon(args.bridge, args.plugins)
        self.cpus = {n: Tenon(args.bridge, args.plugins, "cpu:cpu", n) for n in (1, 2)}
        self.outcomes = collections.Counter()
        self.ops = collections.Counter()
        self.refusals = collections.Counter()
        self.failures = []

    def generate(self, seed):
        g = Graph(np.random.default_rng(seed))
        count = g.int(1, 6)
        pool = self.args.only or STEPS
        while len(g.nodes) < count:
            g.choice(pool)(g)
        return g

    def truth(self, g, model_of, results, arrays_of):
        """What the reference says, and how far off each result may be."""
        made = {o for n in g.nodes for o in n.output}
        everything = [v for v in g.values if v.name in made or v in results]
        model, used = model_of(everything)
        self.reference.load(model.SerializeToString())
        out = []
        for arrays in arrays_of(used):
            try:
                got = dict(zip([v.name for v in everything],
                               self.reference.execute(arrays, len(everything))))
            except Failed:
                out.append(None)
                continue
            out.append(({v.name: got[v.name] for v in results},
                        {v.name: self.limit(g, v, got) for v in results}))
        self.reference.unload()
        return out

    @staticmethod
    def limit(g, value, got):
        if value.kind != "float32":
            return float(value.quantised + 1 if value.quantised else 0)
        around = [np.abs(got[n]).max() for n in ancestors(g, value.name)
                  if n in got and got[n].size and got[n].dtype.kind == "f"]
        scale = max(around, default=0.0)
        if not scale < LARGEST:
            return None
        return TOLERANCE * max(scale, 0.1) + g.step * (value.quantised * 3)

    def compare(self, results, truth, got):
        expected, limits = truth
        for v, array in zip(results, got):
            want = expected[v.name]
            if array.shape != want.shape or array.dtype != want.dtype:
                return f"{v.name}: {array.dtype}{array.shape}, not {want.dtype}{want.shape}"
            limit = limits[v.name]
            if limit is None or not want.size:
                continue
            with np.errstate(all="ignore"):
                off = np.abs(array.astype(np.float64) - want.astype(np.float64))
            bad = ~(off <= limit) & ~(np.isnan(array) & np.isnan(want))
            if bad.any():
                i = int(np.flatnonzero(bad.ravel())[0])
                return (f"{v.name} {want.shape}: {int(bad.sum())} of {want.size}, [{i}] "
                        f"{array.ravel()[i]!r} not {want.ravel()[i]!r}, limit {limit:.3g}")
        return None

    def one(self, seed):
        g = self.generate(seed)
        results, symbolic = g.results(), g.chance(0.3)
        sizes = [BATCH, 1, 3, 0, BATCH] if symbolic else [BATCH]
        model, used = g.model(results, symbolic)

        def arrays_of(inputs):
            for size in sizes:
                yield [np.resize(a, (size, *a.shape[1:])) if v.shape[:1] == (BATCH,) else a
                       for v, a in inputs]
        try:
            truths = self.truth(g, lambda r: g.model(r, symbolic), results, arrays_of)
        except (Failed, Refused) as why:
            self.outcomes["invalid"] += 1
            self.refusals[f"reference: {str(why)[:100]}"] += 1
            return
        if self.args.out:
            write_case(self.args.out / str(seed), model, used, results, truths[0])
        outcome = "same"
        for threads, cpu in self.cpus.items():
            for precision in PRECISIONS:
                for flags in ((0, FAST) if precision == "written" else (0,)):
                    if (seed + threads) % 2 and flags == FAST and not self.args.all:
                        continue
                    cpu.configure(PRECISIONS[precision], flags)
                    found = self.check(cpu, model, results, list(arrays_of(used)), truths)
                    if found is None:
                        continue
                    if found.startswith("refused"):
                        outcome = "refused"
                        self.refusals[found[:140]] += 1
                        continue
                    outcome = "wrong"
                    ops = ", ".join(n.op_type for n in g.nodes)
                    print(f"seed {seed}, {threads} threads, {precision}, flags {flags}"
                          f"{', symbolic' if symbolic else ''}: {found}\n  {ops}", flush=True)
                    self.failures.append(seed)
                    break
                if outcome != "same":
                    break
            if outcome != "same":
                break
        self.outcomes[outcome] += 1
        if outcome == "same":
            self.ops.update(n.op_type for n in g.nodes)

    def check(self, cpu, model, results, inputs, truths):
        try:
            cpu.load(model.SerializeToString())
        except Failed as why:
            text = str(why)
            return ("refused " if "(16)" in text else "load ") + text
        except Refused as why:
            return f"refused {why}"
        first = None
        for i, (arrays, truth) in enumerate(zip(inputs, truths)):
            if truth is None:
                continue
            try:
                got = cpu.execute(arrays, len(results))
                again = cpu.execute(arrays, len(results))
            except (Failed, Refused) as why:
                if inputs[i] and any(a.size == 0 for a in arrays):
                    continue  # no kernel of the plugin is for nothing
                return f"run {i}: {why}"
            wrong = self.compare(results, truth, got)
            if wrong is not None:
                return f"run {i}: {wrong}"
            first = got if i == 0 else first
            for other in [again] + ([first] if i == 4 and first is not None else []):
                if any(a.tobytes() != b.tobytes() for a, b in zip(got, other)):
                    return f"run {i}: differs from the same run before"
        cpu.unload()
        return None

    def summary(self, seconds):
        total = sum(self.outcomes.values())
        print(f"{total} graphs in {seconds:.0f} s: {dict(self.outcomes)}")
        for text, count in self.refusals.most_common(40 if self.args.verbose else 6):
            print(f"  {count} {text}")
        nodes = sum(self.ops.values())
        print(f"{nodes} nodes of {len(self.ops)} ops: {' '.join(sorted(self.ops))}")
        enough = self.outcomes["same"] >= SMALLEST_SHARE * total and nodes >= SMALLEST_NODES * total
        if not enough:
            print(f"too little: {SMALLEST_SHARE:.0%} of the graphs and {SMALLEST_NODES} nodes for "
                  "each are due")
        return enough and not self.failures


def write_case(folder, model, used, results, truth):
    """In the layout that tenon-onnx-suite runs."""
    if truth is None:
        return
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    arrays = {"input": [a for _, a in used], "output": [truth[0][v.name] for v in results]}
    for word, list_of in arrays.items():
        for i, array in enumerate(list_of):
            proto = numpy_helper.from_array(np.asarray(array))
            (data / f"{word}_{i}.pb").write_bytes(proto.SerializeToString())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bridge", type=pathlib.Path)
    parser.add_argument("plugins", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="every mode for every graph")
    parser.add_argument("--only", type=lambda t: [s for s in STEPS if s.__name__ in t.split(",")])
    parser.add_argument("--out", type=pathlib.Path, help="writes every graph as a case")
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    run, start = Run(args), time.monotonic()
    for seed in range(args.seed, args.seed + args.count):
        run.one(seed)
    return 0 if run.summary(time.monotonic() - start) else 1


if __name__ == "__main__":
    sys.exit(main())
