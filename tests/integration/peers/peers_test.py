#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The comparison with other runtimes measures what it says: processes answer in turn, are stopped
between turns, compute the model, and a wrong or failing contender is found.

    peers_test.py BENCH_PEERS TENON_LOOP PLUGIN_FOLDER WORK_FOLDER

onnxruntime is the one of .venv here; no other peer is installed.
"""
import math
import pathlib
import shutil
import sys
import unittest

import numpy as np

BENCH, LOOP, PLUGINS, WORK = (pathlib.Path(a) for a in sys.argv[1:5])
sys.path.insert(0, str(BENCH))
import chains  # noqa: E402
import measure  # noqa: E402
import models  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
from contender import Contender, Failed  # noqa: E402

LENGTH = chains.CHAINS["chain_1000"]


def tenon(model, *more):
    command = [LOOP, model, "--plugin", PLUGINS / "reference.so", "--device", "reference", *more]
    return [str(word) for word in command]


def state(contender):
    """The letter that the kernel gives the process: T is stopped."""
    text = pathlib.Path(f"/proc/{contender.child.pid}/stat").read_text(encoding="ascii")
    return text.rsplit(")", 1)[1].split()[0]


def result(name, tolerance=models.F32, **turns):
    made = measure.Result(models.Case(name, name, None, {}, tolerance), 1)
    made.turns = turns
    return made


class Processes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(WORK, ignore_errors=True)
        cls.model = chains.write("chain_1000", WORK)
        case = models.Case("chain", "chain", peers.chain_inputs, {}, models.F32)
        cls.feeds = peers.write_inputs(case, WORK)

    def inputs(self, shaped):
        return [word for name, (_, path) in self.feeds.items()
                for word in ["--input", name] + (["1"] if shaped else []) + [str(path)]]

    def peer(self, *more):
        return [sys.executable, str(BENCH / "peer_loop.py"), "onnxruntime", str(self.model), *more,
                *self.inputs(shaped=False)]

    def start(self, command):
        made = Contender(command, WORK / "log", 60)
        self.addCleanup(made.close)
        return made

    def check_turns(self, contender):
        self.assertEqual(state(contender), "T")
        self.assertEqual(len(contender.run(7)), 7)
        self.assertGreater(min(contender.run(3)), 0)
        self.assertEqual(state(contender), "T")
        self.assertGreater(contender.stats()["peak_kib"], contender.stats()["base_kib"])
        found, = measure.read_outputs(contender, WORK / "outputs")
        np.testing.assert_allclose(found, [1.0 + 0.5 * LENGTH])

    def test_tenon_runs_in_turns(self):
        self.check_turns(self.start(tenon(self.model, *self.inputs(shaped=True))))

    def test_onnxruntime_runs_in_turns(self):
        for more in ([], ["--option", "literal"], ["--option", "quiet", "--threads", "2"]):
            self.check_turns(self.start(self.peer(*more)))

    def test_a_failure_says_why(self):
        cases = [
            ("no input", tenon(self.model), "no file is given"),
            ("no file", tenon(self.model, "--input", "x", "1", "/nowhere.npy",
                              *self.inputs(True)), "/nowhere.npy"),
            ("wrong size", tenon(self.model, "--input", "x", "2", str(self.feeds["x"][1]),
                                 *self.inputs(True)), "x"),
            ("no device", tenon(self.model, "--device", "absent", *self.inputs(True)), "absent"),
            ("bad option", tenon(self.model, "--absent"), "ended with 2: usage"),
            ("bad model", tenon(WORK / "absent.onnx"), "NOT_FOUND"),
            ("peer", [*self.peer()[:3], "/absent.onnx"], "/absent.onnx"),
        ]
        for name, command, why in cases:
            with self.subTest(name), self.assertRaises(Failed) as caught:
                Contender(command, WORK / "log", 60)
            self.assertIn(why.lower(), str(caught.exception).lower(), name)

    def test_a_process_that_dies_is_noticed(self):
        contender = self.start(tenon(self.model, *self.inputs(shaped=True)))
        contender.child.kill()
        contender.child.wait()
        with self.assertRaises(Failed):
            contender.run(1)

    def test_one_that_never_answers_is_given_up(self):
        with self.assertRaisesRegex(Failed, "no answer"):
            Contender(["sleep", "60"], WORK / "log", 0.2)

    def test_alternating_makes_an_island_of_every_node(self):
        if not (PLUGINS / "cpu.so").is_file():
            self.skipTest("the cpu plugin is not built")
        both = tenon(self.model, "--plugin", str(PLUGINS / "cpu.so"), "--device", "cpu",
                     "--alternate", *self.inputs(shaped=True))
        stats = self.start(both).stats()
        self.assertEqual((stats["islands"], stats["handovers"]), (LENGTH, LENGTH - 1))


class Numbers(unittest.TestCase):
    def test_difference_is_a_part_of_the_range(self):
        one, other = np.array([0.0, 10.0]), np.array([0.0, 10.5])
        self.assertAlmostEqual(measure.difference(other, one), 0.05)
        self.assertEqual(measure.difference(np.array([np.nan, 1.0]), one), math.inf)
        self.assertEqual(measure.difference(np.zeros(0), np.zeros(0)), 0.0)
        with self.assertRaisesRegex(Failed, "shape"):
            measure.difference(np.zeros(3), one)

    def test_ratios_are_of_pairs(self):
        made = result("m", tenon=[1e6, 1e6, 4e6], onnxruntime=[2e6, 2e6, 8e6])
        self.assertEqual(made.times_faster("tenon", "onnxruntime"), 2.0)
        self.assertEqual(report.ratio(made, "tenon", "absent"), None)
        made.turns["onnxruntime, no spinning"] = [1.5e6, 1.5e6, 6e6]
        self.assertEqual(report.ratio(made, "tenon", *report.ORT), 1.5)

    def test_means_keep_f32_and_int8_apart(self):
        rows = report.steady([result("a", tenon=[1e6], onnxruntime=[2e6]),
                              result("b", tenon=[1e6], onnxruntime=[8e6]),
                              result("c", models.INT8, tenon=[1e6], onnxruntime=[3e6])])
        self.assertIn("| **geometric mean, f32** |  |  |  |  |  |  |  |  | 4.00 |", rows)
        self.assertIn("| **geometric mean, int8** |  |  |  |  |  |  |  |  | 3.00 |", rows)

    def test_what_is_wrong_is_said(self):
        good, bad, failed = (result(n) for n in ("good", "bad", "failed"))
        good.difference = {"tenon": 1e-4, "tenon --precise": 0.0, "tenon --relaxed": 0.5}
        bad.difference = {"tenon": 2e-3, "openvino": 1.0}
        failed.failed = {"tenon": "no such op", "mnn": "crash"}
        self.assertEqual(report.wrong([good]), [])
        self.assertEqual(len(report.wrong([good, bad, failed])), 2)
        self.assertIn("mnn does not run failed (1 thread(s)): crash", report.failures([failed]))

    def test_significant_digits(self):
        self.assertEqual([report.cell(n) for n in (None, 0.01234, 1.234, 123.4, 1234.0)],
                         ["-", "0.0123", "1.23", "123", "1234"])

    def test_cases_are_those_of_the_zoo(self):
        import zoo  # tools/zoo, which models.py has made importable
        self.assertEqual({case.model for case in models.CASES}, set(zoo.MODELS))
        self.assertEqual([c.name for c in models.chosen(["gpt_decoder"])],
                         ["gpt_decoder prefill", "gpt_decoder decode"])
        self.assertEqual([c.name for c in models.chosen(["bert_base"])], ["bert_base"])
        self.assertIsNone(models.chosen(["absent"]))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
