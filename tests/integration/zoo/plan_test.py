#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plans of the small zoo over several sets of devices: every run counts what its plan said, whatever
was pinned where, and gives the answers of the reference plugin alone, element by element. Plans
that are kept on disk are found again.

    plan_test.py TENON PLUGIN_FOLDER FAKE_PLUGIN PACED_FOLDER MODELS_FOLDER

The models are those that zoo_test.py has written.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np

TENON, PLUGINS, FAKE, PACED, MODELS = (pathlib.Path(a) for a in sys.argv[1:6])
REFERENCE = "reference:cpu"
SETS = {
    "reference": [REFERENCE],
    "gpu and reference": ["opencl", REFERENCE],
    "two gpus and reference": ["opencl", "vulkan", REFERENCE],
    "fakes and reference": ["fake:alpha", "fake:inline", REFERENCE],
    "emulated npu and cpu": ["paced_npu:npu", "paced_cpu:cpu"],
}
# Of the largest value in a tensor: sums may round differently where an island ends.
TOLERANCE = 1e-5
COUNTS = ("handovers", "host_waits", "transfers", "transfer_bytes")


def tenon(*args, **kwargs):
    answer = subprocess.run(
        [TENON, *map(str, args), "--json", "--no-search", "--plugin-dir", PLUGINS, "--plugin", FAKE,
         "--plugin", PACED / "paced_npu.so", "--plugin", PACED / "paced_cpu.so"],
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        **kwargs)
    if answer.returncode != 0:
        raise AssertionError(f"{args}: {answer.returncode} {answer.stderr}")
    return json.loads(answer.stdout)


def devices():
    """What each name of SETS stands for here, or nothing where there is no such device."""
    found = {}
    for plugin in tenon("plugins")["devices"]:
        found.setdefault(plugin["id"].split(":")[0], plugin["id"])
        found[plugin["id"]] = plugin["id"]
    return found


def inputs(model):
    """The inputs of the model's first case, so that sizes that are left open are what they may be."""
    names = [i["name"] for i in tenon("inspect", model)["inputs"]]
    case = model.parent / "test_data_set_0"
    return [o for i, name in enumerate(names) for o in ("--input", f"{name}={case}/input_{i}.pb")]


def run(model, ids, *options):
    """What a run tells, and its outputs."""
    with tempfile.TemporaryDirectory() as folder:
        report = tenon("run", model, "--device", ",".join(ids), "--output", folder, *inputs(model),
                       *options)
        return report, [np.load(pathlib.Path(folder) / o["file"]) for o in report["outputs"]]


class Plans(unittest.TestCase):
    def pins(self, model, ids):
        """Every other node that a device besides the reference takes goes to one that takes it."""
        told = tenon("explain", model, "--plan-only", "--device", ",".join(ids))
        pins = {}
        for node in told["nodes"]:
            takers = [v["device"] for v in node["verdicts"]
                      if v["takes"] and v["device"] in ids and v["device"] != REFERENCE]
            if takers and node["node"] % 2 == 0:
                device = takers[node["node"] // 2 % len(takers)]
                pins.setdefault(device, []).append(str(node["node"]))
        return [f"{','.join(nodes)}={device}" for device, nodes in pins.items()]

    def check(self, model, ids, expected):
        pins = self.pins(model, ids)
        options = [o for p in pins for o in ("--pin", p)]
        report, answers = run(model, ids, "--repeat", "2", *options)
        planned = {k: report["planned"][k] for k in COUNTS}
        counted = {k: report["counted"][k] for k in COUNTS}
        self.assertEqual(planned, counted, (model, ids))
        for answer, right in zip(answers, expected, strict=True):
            self.check_elements(answer, right, (model, ids))
        return counted, bool(pins)

    def check_elements(self, answer, right, where):
        self.assertEqual((answer.dtype, answer.shape), (right.dtype, right.shape), where)
        if right.dtype.kind != "f":
            self.assertTrue(np.array_equal(answer, right), where)
        elif right.size > 0:
            self.assertTrue(np.isfinite(right).all(), where)
            limit = TOLERANCE * max(1.0, float(np.abs(right).max()))
            off = np.abs(answer.astype(np.float64) - right.astype(np.float64))
            # Not "off.max() > limit": a NaN is above nothing.
            self.assertTrue((off <= limit).all(),
                            f"{where}: {(~(off <= limit)).sum()} of {off.size} elements off, by "
                            f"up to {off.max()}, limit {limit}")

    def test_paced_devices_take_their_time(self):
        newest = max(MODELS.iterdir(), key=lambda folder: folder.stat().st_mtime)
        report = tenon("run", newest / "densenet121" / "model.onnx", "--device",
                       "paced_npu,paced_cpu", "--no-fallback", "--no-calibration")
        islands = report["plan"]["islands"]
        launches = sum(i["device"] == "paced_npu:npu" for i in islands)
        self.assertTrue(all(i["emulated"] for i in islands))
        self.assertGreater(launches, 0)
        self.assertGreater(report["phases"]["last_run_ns"], 150000 * launches)

    def test_kept_plans_are_found_again(self):
        known = devices()
        ids = [known.get(w) for w in SETS["two gpus and reference"]]
        if None in ids:
            self.skipTest("not all devices are here")
        newest = max(MODELS.iterdir(), key=lambda folder: folder.stat().st_mtime)
        kept = 0
        with tempfile.TemporaryDirectory() as cache:
            environment = dict(os.environ, XDG_CACHE_HOME=cache)
            for model in sorted(newest.glob("*/model.onnx")):
                args = ("explain", model, "--plan-only", "--device", ",".join(ids))
                first, again, fresh = (tenon(*args, *more, env=environment)
                                       for more in ((), (), ("--no-plan-store",)))
                self.assertFalse(first["plan"]["stored"] or fresh["plan"]["stored"])
                kept += again["plan"]["stored"]
                for told in (first, again, fresh):
                    del told["plan"]["stored"]
                self.assertEqual(again, fresh, model)
                self.assertEqual(first, fresh, model)
        print(f"{kept} plans were kept")
        self.assertGreater(kept, 0)

    def test_plans_do_not_depend_on_threads(self):
        """Costs of the reference and of GPUs say nothing of the host's threads, so plans may not."""
        known = devices()
        ids = [known.get(w) for w in SETS["gpu and reference"]]
        if None in ids:
            self.skipTest("not all devices are here")
        newest = max(MODELS.iterdir(), key=lambda folder: folder.stat().st_mtime)
        # A third of them: sanitizers take their time to load plugins.
        for model in sorted(newest.glob("*/model.onnx"))[::3]:
            one, eight = (tenon("explain", model, "--plan-only", "--no-plan-store", "--device",
                                ",".join(ids), "--threads", n)["plan"] for n in (1, 8))
            self.assertNotEqual(int(one["hash"], 16), 0)
            self.assertEqual(one, eight, model)

    def test_runs_count_what_plans_said(self):
        known = devices()
        newest = max(MODELS.iterdir(), key=lambda folder: folder.stat().st_mtime)
        models = sorted(newest.glob("*/model.onnx"))
        self.assertGreaterEqual(len(models), 17)
        pinned = handovers = 0
        for model in models:
            _, expected = run(model, [REFERENCE])
            for name, wanted in SETS.items():
                ids = [known.get(w) for w in wanted]
                if None in ids:
                    print(f"{name}: not all of its devices are here")
                    continue
                with self.subTest(model=model.parent.name, devices=name):
                    counted, any_pins = self.check(model, ids, expected)
                    pinned += any_pins
                    handovers += counted["handovers"]
        print(f"{len(models)} models, {pinned} pinned plans, {handovers} handovers")
        self.assertGreaterEqual(pinned, 20)
        self.assertGreaterEqual(handovers, 100)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
