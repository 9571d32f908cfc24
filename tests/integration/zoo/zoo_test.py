#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The small zoo: the same bytes every time, nothing degenerate, and right answers on reference and
on cpu with reference behind it.

    zoo_test.py TENON_ONNX_SUITE PLUGIN_FOLDER ZOO_FOLDER CACHE_FOLDER GENERATE

The models are written once for each state of the generator and of the packages it uses.
"""
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np
import onnx
import onnxruntime

SUITE, PLUGINS, ZOO, CACHE, GENERATE = (pathlib.Path(a) for a in sys.argv[1:6])
sys.path.insert(0, str(ZOO))
import check  # noqa: E402  (found through the path above)
import zoo  # noqa: E402

RANGE_LIMIT = 1e-4
SET_BYTES = 30 * 1000 * 1000
# Run literally, the QDQ models hold numbers on small integer grids everywhere: any two right
# implementations agree to the bit.
BIT_EXACT = {"resnet50_int8", "mobilenet_v2_int8"}


def generate(folder):
    subprocess.run([sys.executable, ZOO / "zoo.py", "--size", "small", "--cases", "--out", folder],
                   check=True, timeout=200, stdout=subprocess.DEVNULL)


def cached():
    """The folder with the models of this generator."""
    state = hashlib.sha256()
    for path in sorted(ZOO.glob("*.py")):
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    state.update(f"{np.__version__} {onnx.__version__} {onnxruntime.__version__}".encode())
    folder = CACHE / state.hexdigest()[:16]
    if not folder.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as partial:
            generate(pathlib.Path(partial) / "set")
            try:
                (pathlib.Path(partial) / "set").rename(folder)
            except OSError:
                assert folder.is_dir()  # another test run was faster
    return folder


def contents(folder):
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*")) if p.is_file()}


class Generator(unittest.TestCase):
    def test_same_bytes_for_a_seed(self):
        with tempfile.TemporaryDirectory() as again:
            generate(pathlib.Path(again))
            self.assertEqual(contents(FOLDER), contents(pathlib.Path(again)))

    def test_the_set_is_small_and_complete(self):
        self.assertEqual({p.name for p in FOLDER.iterdir()}, set(zoo.MODELS))
        self.assertLess(sum(p.stat().st_size for p in FOLDER.rglob("*.*")), SET_BYTES)

    def test_refuses_what_is_degenerate(self):
        rng = np.random.default_rng(1)
        good, other = rng.standard_normal((2, 400))
        check.refuse_degenerate("good", good, other)
        spike = np.zeros(400)
        spike[7] = 1.0
        for name, one, two in [("constant", np.ones(400), np.ones(400)), ("deaf", good, good),
                               ("spike", spike, other), ("nan", np.full(400, np.nan), other),
                               ("few", good[:3], good[:3]), ("empty", good[:0], good[:0])]:
            with self.subTest(name), self.assertRaises(check.Degenerate):
                check.refuse_degenerate(name, one, two)


class Answers(unittest.TestCase):
    DEVICES = "reference:cpu"

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "report.json"
            start = time.monotonic()
            result = subprocess.run(
                [SUITE, FOLDER, "--device", cls.DEVICES, "--plugins", PLUGINS, "--range",
                 str(RANGE_LIMIT), "--name", "zoo", "--floor", str(len(zoo.MODELS)), "--json",
                 report], capture_output=True, text=True, timeout=250)
            print(f"{result.stdout}{result.stderr}{time.monotonic() - start:.1f} s for all")
            cls.code = result.returncode
            cls.report = json.loads(report.read_text())

    def test_every_model_agrees(self):
        self.assertEqual(self.code, 0)
        self.assertEqual(self.report["passed"], len(zoo.MODELS))

    def test_all_data_sets_were_compared(self):
        for case in self.report["results"]:
            sets = len(list((FOLDER / case["case"]).glob("test_data_set_*")))
            self.assertEqual((case["case"], case["data_sets"]), (case["case"], sets))
            self.assertGreater(case["elements"], 0)

    def test_int8_is_exact(self):
        errors = {c["case"]: c["max_error"] for c in self.report["results"]}
        self.assertEqual({n: errors[n] for n in BIT_EXACT}, {n: 0.0 for n in BIT_EXACT})


@unittest.skipUnless((PLUGINS / "cpu.so").exists(), "plugin cpu was not built")
class AnswersOfCpu(Answers):
    DEVICES = "cpu:cpu,reference:cpu"


class Generation(unittest.TestCase):
    """A decoder that keeps its cache in the request says the same as one that is handed it."""

    DEVICE = ("--device", "reference:cpu")

    def generate(self, *arguments):
        result = subprocess.run(
            [GENERATE, FOLDER / "gpt_decoder" / "model.onnx", *self.DEVICE, *arguments],
            capture_output=True, text=True, timeout=200)
        self.assertEqual(result.returncode, 0, result.stderr)
        print(result.stderr, end="")
        return result.stdout.split(), result.stderr

    def test_state_changes_nothing_but_what_is_written(self):
        tokens, report = self.generate("--tokens", "256")
        expected, _ = self.generate("--tokens", "256", "--stateless")
        self.assertEqual(len(tokens), 256)
        self.assertEqual(tokens, expected)
        in_place, states = re.search(r"(\d+) of (\d+) states in place", report).groups()
        first, last = re.search(r"(\d+) for the first token, (\d+) for the last", report).groups()
        self.assertEqual(in_place, states)
        self.assertEqual(first, last)
        self.assertGreater(int(first), 0)


class GenerationOnAll(Generation):
    """Islands of several devices read the same state."""
    DEVICE = ()


if __name__ == "__main__":
    FOLDER = cached()
    unittest.main(argv=sys.argv[:1], verbosity=1)
