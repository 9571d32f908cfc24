#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How near what a plan predicts comes to what a run takes, before and after `tenon calibrate`.

    calibration.py TENON PLUGIN_DIR MODELS_DIR [RUNS]

Calibrates `reference` and `opencl` on single ops into a cache of its own, then runs every
MODELS_DIR/NAME/model.onnx, none of which calibration has seen, on each set of devices: the plan's
cost beside the median of RUNS runs, unknown sizes being 1 in both. Mean absolute percentage error, and Spearman's rank correlation.
"""
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

DEVICE_SETS = ["reference", "opencl,reference"]


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
    def __init__(self, tenon, plugins, cache, runs):
        self.tenon, self.runs = tenon, runs
        self.common = ["--no-search", "--plugin-dir", plugins, "--allow", "reference", "--allow",
                       "opencl"]
        self.environment = dict(os.environ, XDG_CACHE_HOME=cache)

    def call(self, *args):
        result = subprocess.run([self.tenon, *map(str, args), *self.common, "--json"],
                                env=self.environment, capture_output=True, text=True, check=False)
        return json.loads(result.stdout) if result.returncode == 0 else None

    def run(self, model, devices, *more):
        """Predicted and measured nanoseconds and the number of islands, or None."""
        report = self.call("run", model, "--device", devices, "--repeat", self.runs, *more)
        if report is None:
            print(f"  {model.parent.name} does not run with unknown sizes of 1: left out")
            return None
        plan = report["plan"]
        return (plan["cost_estimate_ns"], report["phases"]["median_run_ns"], len(plan["islands"]))


def judge(title, rows):
    predicted, measured = [r[0] for r in rows], [r[1] for r in rows]
    error = sum(abs(p - m) / m for p, m in zip(predicted, measured)) / len(rows)
    print(f"{title}: MAPE {error * 100:.0f} %, rank correlation "
          f"{correlation(ranks(predicted), ranks(measured)):.3f}, {len(rows)} models")


def main():
    tenon, plugins, models = sys.argv[1:4]
    runs = int(sys.argv[4]) if len(sys.argv) > 4 else 7
    paths = sorted(pathlib.Path(models).glob("*/model.onnx"))
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; median of {runs} runs")
    with tempfile.TemporaryDirectory() as cache:
        bench = Bench(tenon, plugins, cache, runs)
        bench.call("calibrate", "--device", "reference,opencl")
        for devices in DEVICE_SETS:
            before, after = [], []
            for path in paths:
                pair = bench.run(path, devices, "--no-calibration"), bench.run(path, devices)
                if None in pair:
                    continue
                before.append(pair[0])
                after.append(pair[1])
                predicted, measured, islands = after[-1]
                print(f"  {devices:18} {path.parent.name:20} predicted {predicted / 1e6:9.3f} ms, "
                      f"measured {measured / 1e6:9.3f} ms, {predicted / measured:5.2f}, "
                      f"{islands} islands (before: {before[-1][0] / 1e6:.3f}, "
                      f"{before[-1][1] / 1e6:.3f} ms, {before[-1][2]})", flush=True)
            judge(f"{devices} by defaults", before)
            judge(f"{devices} calibrated", after)


if __name__ == "__main__":
    main()
