#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How near what a plan predicts comes to what a run takes, and whether its plan was worth choosing.

    calibration.py TENON PLUGIN_DIR PACED_DIR MODELS_DIR [ROUNDS [CALIBRATION]]

Calibrates on single ops into a cache of its own (or takes the file CALIBRATION), then runs every
MODELS_DIR/NAME/model.onnx, none of which calibration has seen, on each set of devices, unknown sizes
being 1. All sets take turns, ROUNDS times, RUNS runs each. Measured is the median of the round that was
disturbed least: on a machine that does other things too the others tell of those. The plan's cost stands
beside it: mean absolute percentage error, and Spearman's rank correlation. For sets of several devices,
what was chosen is compared with the best of their devices that can run the model alone. Where the plan
is that of one device, its ratio is that device's: the same program twice would only compare the machine
with itself.
PACED_DIR has emulated devices (tests/support/paced): their times pass, and say nothing about hardware.
"""
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

SINGLES = ["reference", "paced_cpu", "paced_npu"]
SETS = ["opencl,reference", "paced_npu,paced_cpu", "paced_npu,reference"]
EMULATED = "paced"
RUNS = 7
ALLOWED = 1.05  # of the best single device's time


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    rank = [0.0] * len(values)
    for place, index in enumerate(order):
        rank[index] = float(place)
    return rank


def correlation(xs, ys):
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys))
    spread = (sum((x - mean_x) ** 2 for x in xs) * sum((y - mean_y) ** 2 for y in ys)) ** 0.5
    return covariance / spread if spread > 0 else 0.0


class Bench:
    def __init__(self, tenon, plugins, paced, cache):
        self.tenon = tenon
        self.common = ["--no-search", "--plugin-dir", plugins]
        for name in ("reference", "opencl", "paced_*"):
            self.common += ["--allow", name]
        for name in ("paced_npu", "paced_cpu"):
            self.common += ["--plugin", pathlib.Path(paced) / f"{name}.so"]
        self.environment = dict(os.environ, XDG_CACHE_HOME=cache)

    def call(self, *args):
        result = subprocess.run([self.tenon, *map(str, args), *map(str, self.common), "--json"],
                                env=self.environment, capture_output=True, text=True, check=False)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def run(self, model, devices, *more):
        """Predicted and measured nanoseconds, islands and devices used, or None."""
        report = self.call("run", model, "--device", devices, "--no-fallback", "--repeat", RUNS,
                           *more)
        if report is None:
            return None
        plan = report["plan"]
        used = {island["device"].split(":")[0] for island in plan["islands"]}
        return (plan["cost_estimate_ns"], report["phases"]["median_run_ns"], len(plan["islands"]),
                used)

    def turns(self, model, rounds):
        """By set of devices: what each round's run told. By defaults one round is enough."""
        found = {}
        for turn in range(rounds):
            ways = [(devices, ()) for devices in SINGLES + SETS]
            if turn == 0:
                ways += [(devices, ("--no-calibration",)) for devices in SINGLES + SETS]
            # Every other round the other way around: no set profits from what ran before it.
            for way in ways if turn % 2 == 0 else ways[::-1]:
                result = self.run(model, way[0], *way[1]) if turn == 0 or way in found else None
                if result is not None:
                    found.setdefault(way, []).append(result)
        return found


def one(results):
    """A set's rounds as one: the least median, and what is the same in all of them."""
    return (results[0][0], min(r[1] for r in results), *results[0][2:])


def label(devices):
    return f"{devices} (emulated)" if EMULATED in devices else devices


def judge(title, rows):
    predicted, measured = [r[0] for r in rows], [r[1] for r in rows]
    error = sum(abs(p - m) / m for p, m in zip(predicted, measured)) / len(rows)
    mixed = sum(len(r[3]) > 1 for r in rows)
    print(f"{title}: MAPE {error * 100:.0f} %, rank correlation "
          f"{correlation(ranks(predicted), ranks(measured)):.3f}, {len(rows)} models, "
          f"{mixed} on several devices")


def ratio_of(found, devices):
    """What was chosen over the best device alone, and on how many devices it is; or None."""
    chosen = found.get((devices, ()))
    alone = {d: found[d, ()] for d in devices.split(",") if (d, ()) in found}
    if chosen is None or not alone:
        return None
    best = min(alone, key=lambda d: one(alone[d])[1])
    used = chosen[0][3]
    if len(used) == 1:
        chosen = alone.get(next(iter(used)), chosen)
    return one(chosen)[1] / one(alone[best])[1], len(used)


def compare(devices, by_model):
    rows = sorted(((*ratio, name) for name, found in by_model.items()
                   if (ratio := ratio_of(found, devices)) is not None), reverse=True)
    if not rows:
        return
    mean = statistics.geometric_mean(r[0] for r in rows)
    over = [f"{name} {ratio:.2f}" for ratio, _, name in rows if ratio > ALLOWED]
    print(f"{label(devices)}: chosen / best device alone: geometric mean {mean:.3f}, worst "
          f"{rows[0][0]:.3f} ({rows[0][2]}), best {rows[-1][0]:.3f} ({rows[-1][2]}); above {ALLOWED}: "
          f"{', '.join(over) or 'none'}; {sum(r[1] > 1 for r in rows)} of {len(rows)} mixed")


def report(by_model):
    for devices in SINGLES + SETS:
        for name, found in by_model.items():
            if (devices, ()) in found:
                predicted, measured, islands, used = one(found[devices, ()])
                ratio = ratio_of(found, devices) if devices in SETS else None
                print(f"  {devices:20} {name:18} predicted {predicted / 1e6:9.3f} ms, measured "
                      f"{measured / 1e6:9.3f} ms, {predicted / measured:5.2f}, {islands} islands on "
                      f"{'+'.join(sorted(used))}{'' if ratio is None else f', {ratio[0]:.3f} of the best'}")
        for more, text in ((("--no-calibration",), "by defaults"), ((), "calibrated")):
            rows = [one(found[devices, more]) for found in by_model.values()
                    if (devices, more) in found]
            if rows:
                judge(f"{label(devices)} {text}", rows)
    for devices in SETS:
        compare(devices, by_model)


def main():
    tenon, plugins, paced, models = sys.argv[1:5]
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; {rounds} rounds of {RUNS} runs")
    by_model = {}
    with tempfile.TemporaryDirectory() as cache:
        bench = Bench(tenon, plugins, paced, cache)
        os.mkdir(pathlib.Path(cache) / "tenon", 0o700)
        if len(sys.argv) > 6:
            shutil.copy(sys.argv[6], pathlib.Path(cache) / "tenon" / "calibration.json")
        else:
            bench.call("calibrate", "--device", "reference,opencl,paced_cpu,paced_npu")
        for path in sorted(pathlib.Path(models).glob("*/model.onnx")):
            found = bench.turns(path, rounds)
            if found:
                by_model[path.parent.name] = found
            else:
                print(f"  {path.parent.name} does not run with unknown sizes of 1: left out")
    report(by_model)


if __name__ == "__main__":
    main()
