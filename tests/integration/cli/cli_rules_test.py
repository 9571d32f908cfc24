#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rules from the command line and from files: what they mean together, and how bad ones are told.

    cli_rules_test.py TENON TOOL_SOURCES WORK_FOLDER FAKE_PLUGIN
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

from wire import field

TENON, SOURCES, WORK, FAKE = (pathlib.Path(a) for a in sys.argv[1:5])
HOST = ("--no-search", "--plugin", FAKE, "--allow", "*")
BOTH = ("--device", "fake:alpha,fake:beta")
NODES = 40
PLANNING = ("explain", "whatif", "run", "bench")


def tenon(command, *args, **kwargs):
    return subprocess.run([TENON, command, *map(str, args)], capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL, **kwargs)


def pair(name):
    """A value of two floats."""
    dims = field(2, field(1, field(1, 2)))
    return field(1, name) + field(2, field(1, field(1, 1) + dims))


def node(op_type, inputs, output):
    return (b"".join(field(1, name) for name in inputs) + field(2, output) +
            field(3, op_type.lower() + output[1:]) + field(4, op_type))


def write_model(path, nodes, output, weights=b""):
    graph = field(2, b"g") + field(11, pair(b"x")) + weights
    graph += b"".join(field(1, one) for one in nodes) + field(12, pair(output))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))


class Rules(unittest.TestCase):
    """With the fake plugin, whose alpha and beta take Relu and Neg."""

    @classmethod
    def setUpClass(cls):
        cls.model = WORK / "chain.onnx"
        cls.beside = WORK / "chain.onnx.plan"
        values = [b"x"] + [b"v%d" % i for i in range(NODES)]
        write_model(cls.model, [node(b"Relu" if i % 2 == 0 else b"Neg", [values[i]], values[i + 1])
                                for i in range(NODES)], values[-1])
        cls.capped = WORK / "capped.onnx"
        weights = field(5, field(1, 2) + field(2, 1) + field(8, b"w") + field(9, b"\0" * 8))
        write_model(cls.capped, [node(b"Add", [b"x", b"w"], b"y")], b"y", weights)

    def setUp(self):
        self.addCleanup(lambda: self.beside.unlink(missing_ok=True))

    def refused(self, command, model, *args):
        change = ("--forbid", "0=fake:beta") if command == "whatif" else ()
        answer = tenon(command, model, *HOST, *change, *args)
        self.assertEqual(answer.returncode, 2, (command, args, answer.stdout, answer.stderr))
        return answer.stderr

    def test_bad_rules_of_files_are_told_with_their_lines(self):
        rules = WORK / "bad.plan"
        for line, word in (("pin only-one-word", "bad rule"),
                           ("no-fallback please", "bad rule"),
                           ("pin 1, 2 fake:alpha", "bad rule"),
                           ("without", "bad rule"),
                           ("device ,", "names no device"),
                           ("memory fake:alpha 64 MB", "bad rule"),
                           ("memory fake:alpha lots", "DEVICE=SIZE"),
                           ("memory fake:nowhere 1MB", '"fake:nowhere"'),
                           ("memory reference:cpu 1MB\nno-fallback", '"reference:cpu"'),
                           ("device fake:nowhere", '"fake:nowhere"'),
                           ("without fake:nowhere", '"fake:nowhere"'),
                           ("pin 0 fake:nowhere", '"fake:nowhere"'),
                           ("pin op:Nothing fake:alpha", "selects no node"),
                           ("forbid 3-999 fake:alpha", "there are 40")):
            rules.write_text(f"# a comment\n\n \t# and another\r\n{line}\npin 0 fake:alpha # last\n")
            self.beside.write_text(rules.read_text())
            devices = () if line.startswith("device") else BOTH
            for command in PLANNING:
                said = self.refused(command, self.model, *devices)
                self.assertIn(f"tenon {command}: {self.beside}:4: ", said)
                self.assertIn(word, said)
            self.beside.unlink()
            for command in PLANNING:
                said = self.refused(command, self.model, *devices, "--policy", rules)
                self.assertIn(f"tenon {command}: {rules}:4: ", said)
        rules.write_bytes(b"pin 0 fake:alpha\n\0\n")
        self.assertIn("zero byte", self.refused("explain", self.model, "--policy", rules))

    def test_good_rules_have_comments_and_line_ends(self):
        self.beside.write_text("pin 0 fake:beta # why\r\nforbid 1,2-3 fake:beta\t#why\n#\n\nno-fallback")
        answer = tenon("explain", self.model, *HOST, *BOTH, "--json")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        places = [n["device"] for n in json.loads(answer.stdout)["nodes"]]
        self.assertEqual(places[:4], ["fake:beta"] + ["fake:alpha"] * 3)

    def test_nodes_that_are_not_there_are_named(self):
        for nodes, word in (("3-999", '"3-999" is no range of nodes: there are 40, from 0 to 39'),
                            ("39-40", "there are 40"), ("40", "there are 40"), ("7-3", '"7-3"'),
                            ("0,41", '"41"'), ("0-99999999999999999999999", "there are 40"),
                            ("0,op:Softmax", '"op:Softmax" selects no node'),
                            ("", "selects no node"), ("3-", '"3-" selects no node')):
            for option in ("--pin", "--move", "--forbid"):
                said = self.refused("whatif", self.model, *BOTH, option, f"{nodes}=fake:alpha")
                self.assertIn(word, said)
        answer = tenon("explain", self.model, *HOST, *BOTH, "--pin", "0-39=fake:beta", "--json")
        self.assertEqual({n["device"] for n in json.loads(answer.stdout)["nodes"]}, {"fake:beta"})

    def test_caps_of_the_command_line_count_instead_of_the_files(self):
        """The reference takes constants; its weights are 8 bytes of one Add."""
        rules = WORK / "memory.plan"
        devices = ("--device", "reference", "--no-fallback")
        reference = ("--plugin", TENON.parents[1] / "lib/tenon/plugins/reference.so")
        for in_file, on_line, fits in (
                ("reference:cpu 7", None, False), ("reference:cpu 8", None, True),
                ("reference:cpu 7", "reference:cpu=8", True),
                ("reference 7", "reference:cpu=8", True), ("reference:cpu 7", "reference=8", True),
                ("reference:cpu 8", "reference:cpu=7", False),
                ("reference:cpu 7\nmemory reference 8", None, True),
                ("reference:cpu 8", "reference=8,reference:cpu=7", False)):
            rules.write_text(f"memory {in_file}\n")
            options = () if on_line is None else ("--memory", on_line)
            answer = tenon("explain", self.capped, *HOST, *reference, *devices, "--policy", rules,
                           *options)
            self.assertEqual(answer.returncode, 0 if fits else 2, (in_file, on_line, answer.stderr))

    def test_whatif_takes_caps_of_the_line_then_the_policy_then_the_models(self):
        rules = WORK / "change.plan"
        beside = WORK / "capped.onnx.plan"
        self.addCleanup(lambda: beside.unlink(missing_ok=True))
        reference = ("--plugin", TENON.parents[1] / "lib/tenon/plugins/reference.so")
        for in_policy, on_line, fits in ((7, (), False), (8, (), True),
                                         (7, ("--memory", "reference=8"), True),
                                         (8, ("--memory", "reference=7"), False)):
            beside.write_text("memory reference:cpu 9\nno-fallback\n")
            rules.write_text(f"memory reference:cpu {in_policy}\n")
            answer = tenon("whatif", self.capped, *HOST, *reference, "--device", "reference",
                           "--policy", rules, *on_line)
            self.assertEqual(answer.returncode, 0 if fits else 2, (on_line, answer.stderr))

    def test_whatif_folds_what_moves(self):
        change = ("whatif", self.model, *HOST, *BOTH, "--move", f"0-{NODES - 1}=fake:beta")
        moved = len(json.loads(tenon(*change, "--json").stdout)["moved"])
        self.assertEqual(moved, NODES)
        lines = tenon(*change).stdout.splitlines()
        shown = [line for line in lines if line.startswith("  node ")]
        self.assertLess(len(shown), NODES)
        self.assertIn(f"and {NODES - len(shown)} more", lines[-1])


class Fewer(unittest.TestCase):
    """Alternatives with fewer devices. By a calibration written by hand alpha and beta are fast, by
    rules one takes Relu and the other Neg, and Sin is left to the reference, which takes all."""

    REFERENCE = ("--plugin", TENON.parents[1] / "lib/tenon/plugins/reference.so")
    THREE = ["fake:alpha", "fake:beta", "reference:cpu"]
    RULES = ("--forbid", "op:Neg=fake:alpha", "--forbid", "op:Relu=fake:beta")

    @classmethod
    def setUpClass(cls):
        cls.model = WORK / "fewer.onnx"
        values = [b"x"] + [b"v%d" % i for i in range(6)]
        write_model(cls.model, [node(op, [values[i]], values[i + 1]) for i, op in
                                enumerate((b"Relu", b"Neg", b"Sin") * 2)], values[-1])
        cls.environment = dict(os.environ, XDG_CACHE_HOME=str(WORK / "fewer"))
        file = WORK / "fewer" / "tenon" / "calibration.json"
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        done = tenon("calibrate", "--quick", *HOST, *cls.REFERENCE, "--device", ",".join(cls.THREE),
                     "--output", file)
        assert done.returncode == 0, done.stderr
        told = json.loads(file.read_text())
        for device in told["devices"]:
            for one in device["classes"].values():
                one.update(fixed_ns=1000000 if device["id"] == "reference:cpu" else 100000,
                           flops_per_second=0, bytes_per_second=0, rows_per_second=0)
        for one in told["pairs"]:
            one.update(handover_ns=10, copy_ns=0, bytes_per_second=0)
        file.write_text(json.dumps(told))

    def explain(self, *args):
        answer = tenon("explain", self.model, *HOST, *self.REFERENCE, "--device",
                       ",".join(self.THREE), "--plan-only", *args, env=self.environment)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return answer.stdout

    def test_each_device_that_is_used_is_left_out_in_turn(self):
        told = json.loads(self.explain("--json", *self.RULES))
        self.assertEqual([n["device"] for n in told["nodes"]], self.THREE * 2)
        fewer = {one["device"]: one for one in told["alternatives"] if one["kind"] == "without"}
        self.assertEqual(sorted(fewer), self.THREE)
        # Two of its nodes go to the reference, which saves some handovers.
        for device in self.THREE[:2]:
            more = fewer[device]["cost_estimate_ns"] - told["plan"]["cost_estimate_ns"]
            self.assertTrue(1000000 < more <= 2 * (1000000 - 100000), more)
        self.assertIsNone(fewer["reference:cpu"]["cost_estimate_ns"])
        verbose = tenon("explain", self.model, *HOST, *self.REFERENCE, "--verbose",
                        env=self.environment).stderr
        self.assertNotIn("than was measured", verbose)
        text = self.explain(*self.RULES)
        self.assertRegex(text, "without fake:alpha +[0-9.]+ ms, ")
        self.assertRegex(text, "without reference:cpu +no plan")

    def test_whatif_of_devices_at_the_same_time(self):
        """Two chains side by side: one device each ends sooner, although the sum is larger."""
        model = WORK / "two.onnx"
        graph = []
        for chain in (b"a", b"b"):
            values = [b"x"] + [b"v" + chain + b"%d" % i for i in range(8)]
            graph += [node(b"Relu", [values[i]], values[i + 1]) for i in range(8)]
        graph.append(node(b"Add", [b"va7", b"vb7"], b"y"))
        write_model(model, graph, b"y")
        change = ("whatif", model, *HOST, *BOTH, "--concurrent")
        told = json.loads(tenon(*change, "--json", env=self.environment).stdout)
        before, after = told["before"], told["after"]
        self.assertLess(after["makespan_estimate_ns"], 0.8 * before["makespan_estimate_ns"])
        self.assertGreaterEqual(after["cost_estimate_ns"], before["cost_estimate_ns"])
        self.assertGreater(len(told["moved"]), 4)
        self.assertRegex(tenon(*change, env=self.environment).stdout, "ends after .* -[0-9.]+ %")

    def test_what_is_not_used_is_not_left_out(self):
        rules = ("--forbid", "op:Relu,op:Neg=fake:alpha", "--forbid", "op:Relu,op:Neg=fake:beta")
        told = json.loads(self.explain("--json", *rules))["alternatives"]
        self.assertEqual([one["device"] for one in told if one["kind"] == "without"],
                         ["reference:cpu"])
        self.assertNotIn("without fake", self.explain(*rules))

    def test_origins_of_costs_are_named(self):
        told = json.loads(self.explain("--json", *self.RULES))
        self.assertEqual({node["cost_origin"] for node in told["nodes"]}, {"calibrated"})


class Told(unittest.TestCase):
    def test_broken_models_are_named(self):
        broken = WORK / "broken.onnx"
        far = WORK / "/".join(["deep" * 20] * 5)
        far.mkdir(parents=True, exist_ok=True)
        for path in (broken, far / "broken.onnx"):
            path.write_bytes(field(1, 8) + b"\x3a\xff\xff\x03graph")
            end = str(path)[-200:]
            for command in (*PLANNING, "inspect", "save"):
                more = {"whatif": ("--move", "0=fake:alpha"), "save": (WORK / "out.onnx",)}
                answer = tenon(command, path, *HOST, *more.get(command, ()))
                self.assertEqual(answer.returncode, 2)
                self.assertIn(f"{end}: ", answer.stderr)
                self.assertIn("length-past-end", answer.stderr)
                self.assertEqual(answer.stderr.count("broken.onnx"), 1, answer.stderr)
        absent = WORK / "absent.onnx"
        self.assertEqual(tenon("run", absent).stderr.count("absent.onnx"), 1)

    def test_help_has_every_option(self):
        def options(text):
            return set(re.findall(r"--[a-z][a-z-]*", text))

        def help_of(*commands):
            return set.intersection(*(options(tenon(c, "--help").stdout) for c in commands))

        common = options(subprocess.run([TENON, "--help"], capture_output=True, text=True).stdout)
        # What several commands take; of rules, run and bench refer to the help of explain.
        shared = {"plan": ("explain", "whatif"), "model": ("run",), "cli": ("run",)}
        for path in sorted(SOURCES.glob("*.c")):
            command = path.stem.split("_")[0]
            taken = set(re.findall(r'(?:strcmp\([a-z_]+, |\{)"(--[a-z-]+)"', path.read_text()))
            if taken and command != "main":
                told = help_of(*shared.get(command, (command,)))
                self.assertEqual(taken - told - common, set(), path)


if __name__ == "__main__":
    os.makedirs(WORK, exist_ok=True)
    unittest.main(argv=[sys.argv[0], "-v"])
