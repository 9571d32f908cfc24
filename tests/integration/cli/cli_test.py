#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as its user meets it: answers, exit codes, JSON, files, and bad input.

    cli_test.py TENON DIGITS_FOLDER WORK_FOLDER FAKE_PLUGIN
"""
import ast
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import unittest

from wire import field, varint

TENON, DIGITS, WORK, FAKE = (pathlib.Path(a) for a in sys.argv[1:5])
MODEL = DIGITS / "digits.onnx"


def tenon(*args, **kwargs):
    return subprocess.run([TENON, *map(str, args)], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, **kwargs)


def write_npy(path, shape, values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    data = struct.pack(f"<{len(values)}f", *values)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


def read_npy(path):
    raw = path.read_bytes()
    size = struct.unpack("<H", raw[8:10])[0]
    header = ast.literal_eval(raw[10:10 + size].decode())
    body = raw[10 + size:]
    return header, struct.unpack(f"<{len(body) // 4}f", body)


def write_pb(path, dims, values):
    raw = struct.pack(f"<{len(values)}f", *values)
    path.write_bytes(b"".join(b"\x08" + varint(d) for d in dims) + b"\x10\x01" + b"\x4a" +
                     varint(len(raw)) + raw)


def floats(name, dims, dtype=1):
    """The ValueInfoProto of a tensor of floats, or of another type."""
    tensor = field(1, dtype) + field(2, b"".join(field(1, field(1, d)) for d in dims))
    return field(1, name) + field(2, field(1, tensor))


def pair(name):
    """The ValueInfoProto of two floats."""
    return floats(name, (2,))


def node(op_type, inputs, output, domain=b"", name=b""):
    return (b"".join(field(1, i) for i in inputs) + field(2, output) + field(3, name) +
            field(4, op_type) + field(7, domain))


def write_relus(path, outputs):
    """A model whose outputs, of these names, are each the Relu of its input x of 2 floats."""
    graph = field(2, b"g") + field(11, pair(b"x"))
    for name in outputs:
        graph += field(1, node(b"Relu", [b"x"], name)) + field(12, pair(name))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))


def write_call(path):
    """y = AddRelu(x, x), a function of the model: Relu(Add(a, b))."""
    own = field(8, field(1, b"test.fake") + field(2, 1))
    call = node(b"AddRelu", [b"x", b"x"], b"y", b"test.fake", b"the call")
    graph = field(2, b"g") + field(11, pair(b"x")) + field(12, pair(b"y")) + field(1, call)
    function = (field(1, b"AddRelu") + field(10, b"test.fake") + field(4, b"a") + field(4, b"b") +
                field(5, b"r") + field(7, node(b"Add", [b"a", b"b"], b"s")) +
                field(7, node(b"Relu", [b"s"], b"r")) + field(9, field(2, 17)))
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)) + own +
                     field(25, function))


class Run(unittest.TestCase):
    def setUp(self):
        record = (DIGITS / "held_out.bin").read_bytes()[:65]
        self.label, self.pixels = record[0], [p / 16 for p in record[1:]]

    def run_json(self, *args):
        result = tenon("run", MODEL, "--json", *args)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_npy_input_and_output(self):
        write_npy(WORK / "image.npy", (1, 1, 8, 8), self.pixels)
        report = self.run_json("--input", f"image={WORK}/image.npy", "--output", WORK / "out")
        self.assertEqual(report["schema_version"], 1)
        output = report["outputs"][0]
        self.assertEqual(output["shape"], [1, 10])
        self.assertEqual(output["top"][0]["class"], self.label)
        header, values = read_npy(WORK / "out" / "probabilities.npy")
        self.assertEqual(header["shape"], (1, 10))
        self.assertAlmostEqual(sum(values), 1, places=5)
        self.assertAlmostEqual(max(values), output["top"][0]["value"], places=5)

    def test_every_output_has_a_file_of_its_own(self):
        names = {b"a/b": "a%2Fb.npy", b"a_b": "a_b.npy", b"a%2Fb": "a%252Fb.npy",
                 b"..": "%2E..npy"}
        write_relus(WORK / "names.onnx", names)
        write_npy(WORK / "two.npy", (2,), [1.0, 2.0])
        result = tenon("run", WORK / "names.onnx", "--input", f"x={WORK}/two.npy", "--json",
                       "--output", WORK / "names")
        self.assertEqual(result.returncode, 0, result.stderr)
        files = {o["name"]: o["file"] for o in json.loads(result.stdout)["outputs"]}
        self.assertEqual(files, {n.decode(): f for n, f in names.items()})
        for file in names.values():
            self.assertEqual(read_npy(WORK / "names" / file)[1], (1.0, 2.0))

    def test_calls_that_a_device_takes_whole_are_named(self):
        write_call(WORK / "call.onnx")
        write_npy(WORK / "two.npy", (2,), [-1.0, 2.0])
        given = ("run", WORK / "call.onnx", "--input", f"x={WORK}/two.npy", "--output", WORK)
        on_fake = ("--plugin", FAKE, "--device", "fake:inline", "--no-fallback")
        text = tenon(*given, *on_fake)
        self.assertEqual(text.returncode, 0, text.stderr)
        self.assertIn("test.fake.AddRelu the call, whole, for 2 nodes", text.stdout)
        island, = json.loads(tenon(*given, *on_fake, "--json").stdout)["plan"]["islands"]
        self.assertEqual(island["nodes"], 2)
        self.assertEqual(island["calls"], [{"domain": "test.fake", "function": "AddRelu",
                                            "name": "the call", "version": 1,
                                            "in_parts": False, "nodes": 2}])
        self.assertEqual(read_npy(WORK / "y.npy")[1], (0.0, 4.0))
        plain = json.loads(tenon(*given, "--device", "reference:cpu", "--json").stdout)
        self.assertEqual(plain["plan"]["islands"][0]["calls"], [])
        self.assertEqual(read_npy(WORK / "y.npy")[1], (0.0, 4.0))

    def test_pb_input_equals_npy_input(self):
        write_npy(WORK / "image.npy", (1, 1, 8, 8), self.pixels)
        write_pb(WORK / "image.pb", (1, 1, 8, 8), self.pixels)
        # Algorithms chosen by measuring may round otherwise from process to process.
        npy = self.run_json("--input", f"image={WORK}/image.npy", "--fast-compile")
        pb = self.run_json("--input", f"image={WORK}/image.pb", "--fast-compile")
        self.assertEqual(npy["outputs"], pb["outputs"])

    def test_random_inputs_are_seeded(self):
        first = self.run_json("--seed", 7, "--fast-compile")["outputs"]
        self.assertEqual(first, self.run_json("--seed", 7, "--fast-compile")["outputs"])
        self.assertNotEqual(first, self.run_json("--seed", 8, "--fast-compile")["outputs"])

    def test_random_inputs_of_narrow_types_are_ordinary_numbers(self):
        for dtype in (10, 16):  # float16, bfloat16
            path = WORK / "narrow.onnx"
            graph = (field(2, b"g") + field(11, floats(b"x", (64,), dtype)) +
                     field(1, node(b"Identity", [b"x"], b"y")) +
                     field(12, floats(b"y", (64,), dtype)))
            path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
            result = tenon("run", path, "--json")
            self.assertEqual(result.returncode, 0, result.stderr)
            output, = json.loads(result.stdout)["outputs"]
            self.assertLess(output["min"], -0.5)
            self.assertGreater(output["max"], 0.5)
            self.assertLessEqual(output["max"], 1)

    def test_counts_equal_the_plan(self):
        report = self.run_json("--shape", "image=5x1x8x8", "--repeat", 2)
        self.assertEqual(report["counted"], report["planned"])
        self.assertGreaterEqual(report["plan"]["islands"][0]["nodes"], 1)
        self.assertGreater(report["phases"]["first_run_ns"], 0)

    def test_trace_is_chrome_json(self):
        self.run_json("--trace", WORK / "trace.json")
        trace = json.loads((WORK / "trace.json").read_text())
        names = [e["name"] for e in trace["traceEvents"]]
        for name in ("load", "compile", "prepare", "run", "submit"):
            self.assertIn(name, names)
        self.assertEqual(trace["otherData"]["dropped"], 0)

    def test_text_has_no_colours_when_piped(self):
        result = tenon("run", MODEL)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertNotIn("\033", result.stdout)
        self.assertIn("placement", result.stdout)

    def test_device_and_fallback_policy(self):
        self.assertEqual(tenon("run", MODEL, "--device", "reference", "--no-fallback").returncode, 0)
        refused = tenon("run", MODEL, "--device", "null", "--no-fallback")
        self.assertEqual(refused.returncode, 1, refused.stderr)
        self.assertIn("OP_UNSUPPORTED", refused.stderr)
        fallback = json.loads(tenon("run", MODEL, "--device", "null", "--json").stdout)
        self.assertEqual(fallback["plan"]["fallback_nodes"], 10)

    def test_memory_cap(self):
        result = tenon("run", MODEL, "--shape", "image=20000x1x8x8", "--memory-mb", 1)
        self.assertEqual(result.returncode, 2)
        self.assertIn("largest tensors", result.stderr)

    def test_bad_usage_and_bad_input(self):
        (WORK / "broken.onnx").write_bytes(MODEL.read_bytes()[:1000])
        (WORK / "broken.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff")
        write_npy(WORK / "small.npy", (1, 1, 4, 4), [0.0] * 16)
        (WORK / "pipe.npy").unlink(missing_ok=True)
        os.mkfifo(WORK / "pipe.npy")
        cases = [
            (["run"], 2, "no model"),
            (["run", MODEL, "--bogus"], 2, "--bogus"),
            (["run", MODEL, "--repeat", "x"], 2, "--repeat"),
            (["run", MODEL, "--repeat", "0"], 2, "--repeat takes a number from 1"),
            (["run", MODEL, "--deadline-ms", "0"], 2, "--deadline-ms takes a number from 1"),
            (["run", MODEL, "--memory-mb", "0"], 2, "--memory-mb takes a number from 1"),
            (["run", WORK], 2, "not a regular file"),
            (["inspect", WORK], 2, "not a regular file"),
            (["run", MODEL, "--input"], 2, "needs a value"),
            (["run", MODEL, "--input", "nothing=a.npy"], 2, "no input"),
            (["run", MODEL, "--input", f"image={WORK}/absent.npy"], 2, "absent.npy"),
            (["run", MODEL, "--input", f"image={WORK}/broken.npy"], 2, "npy"),
            (["run", MODEL, "--input", f"image={WORK}/pipe.npy"], 2, "regular"),
            (["run", MODEL, "--input", f"image={WORK}/small.npy"], 2, "image"),
            (["run", MODEL, "--shape", "image=1x1x8x"], 2, ""),
            (["run", WORK / "broken.onnx"], 2, "onnx."),
            (["run", WORK / "absent.onnx"], 2, "absent.onnx"),
            (["run", MODEL, "--device", "nowhere"], 2, "nowhere"),
            (["run", MODEL, "--device", ","], 2, "no device"),
            (["frobnicate"], 2, "frobnicate"),
            (["inspect", MODEL, "more", "and more"], 2, "more"),
            (["doctor", "extra"], 2, "extra"),
        ]
        for args, code, text in cases:
            with self.subTest(args=args):
                result = tenon(*args)
                self.assertEqual(result.returncode, code, result.stderr)
                self.assertIn(text, result.stderr)
                self.assertEqual(result.stdout, "")


class Others(unittest.TestCase):
    def test_inspect(self):
        report = json.loads(tenon("inspect", MODEL, "--json", "--nodes").stdout)
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual(report["parameters"], 38282)
        self.assertEqual(report["opset"], 17)
        self.assertEqual(report["inputs"][0]["shape"], ["batch", 1, 8, 8])
        self.assertEqual(len(report["node_list"]), report["nodes"])
        self.assertEqual({o["op_type"] for o in report["ops"]},
                         {"Conv", "Relu", "MaxPool", "Flatten", "Gemm", "Softmax"})

    def test_inspect_dot(self):
        dot = tenon("inspect", MODEL, "--dot").stdout
        self.assertTrue(dot.startswith("digraph"))
        self.assertEqual(dot.count("{"), dot.count("}"))
        self.assertIn("Conv", dot)

    def test_plugins(self):
        report = json.loads(tenon("plugins", "--json").stdout)
        names = {p["name"]: p for p in report["plugins"]}
        self.assertEqual(names["reference"]["stage"], "ready")
        self.assertIn("reference:cpu", [d["id"] for d in report["devices"]])

    def test_deny_is_reported(self):
        report = json.loads(tenon("plugins", "--json", "--deny", "ref*").stdout)
        entry = {p["name"]: p for p in report["plugins"]}["reference"]
        self.assertEqual((entry["stage"], entry["status"]), ("policy", "DENIED"))

    def test_doctor(self):
        result = tenon("doctor", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        smoke = {s["id"]: s["result"] for s in report["smoke"]}
        self.assertEqual(smoke["reference:cpu"], "ok")
        self.assertIn("searched", [f["state"] for f in report["folders"]])
        self.assertIn("system", [f["source"] for f in report["folders"]])

    def test_doctor_names_every_folder(self):
        report = json.loads(tenon("doctor", "--json", "--plugin-dir", WORK / "nowhere",
                                  env=dict(os.environ, TENON_PLUGIN_PATH=f"{WORK}:/absent")).stdout)
        states = {f["path"]: (f["source"], f["state"]) for f in report["folders"]}
        self.assertEqual(states[str(WORK / "nowhere")], ("dir", "not there"))
        self.assertEqual(states[str(WORK)], ("environment", "searched"))
        self.assertEqual(states["/absent"], ("environment", "not there"))

    def test_doctor_without_plugins(self):
        result = tenon("doctor", "--no-search")
        self.assertEqual(result.returncode, 3)

    def test_help_and_version(self):
        self.assertIn("usage:", tenon("--help").stdout)
        self.assertRegex(tenon("--version").stdout, r"^tenon \d+\.\d+\.\d+\n$")
        for command in ("run", "bench", "compare", "inspect", "save", "plugins", "doctor"):
            result = tenon(command, "--help")
            self.assertEqual(result.returncode, 0)
            self.assertIn("Example", result.stdout)
        self.assertEqual(tenon().returncode, 2)

    def test_save_writes_a_model_with_the_same_answers(self):
        saved = WORK / "saved.onnx"
        result = tenon("save", MODEL, saved, "--external", "saved.bin", "--external-bytes", "64",
                       "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(json.loads(result.stdout)["saved"], str(saved))
        self.assertTrue((WORK / "saved.bin").is_file())
        shape = ("--shape", "image=1x1x8x8", "--seed", "3", "--fast-compile", "--output")
        for model, folder in ((MODEL, "before"), (saved, "after")):
            self.assertEqual(tenon("run", model, *shape, WORK / folder).returncode, 0)
        written = sorted(p.name for p in (WORK / "before").iterdir())
        self.assertTrue(written)
        for name in written:
            self.assertEqual((WORK / "before" / name).read_bytes(),
                             (WORK / "after" / name).read_bytes())

    def test_save_says_what_is_wrong(self):
        self.assertEqual(tenon("save", MODEL).returncode, 2)
        missing = tenon("save", MODEL, WORK / "absent" / "x.onnx")
        self.assertEqual(missing.returncode, 2)
        self.assertIn("no such folder", missing.stderr)
        outside = tenon("save", MODEL, WORK / "x.onnx", "--external", "../x.bin")
        self.assertEqual(outside.returncode, 2)
        self.assertIn("no name for a file", outside.stderr)

    def test_full_standard_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run([TENON, "inspect", MODEL], stdout=full,
                                    stderr=subprocess.PIPE, text=True, timeout=60)
        self.assertEqual(result.returncode, 3, result.stderr)


class Explain(unittest.TestCase):
    """Plans told: with the fake plugin, whose alpha and beta take Add, Relu and Neg."""

    MODEL = WORK / "explain.onnx"
    HOST = ("--no-search", "--plugin", FAKE, "--allow", "*")
    BOTH = ("--device", "fake:alpha,fake:beta")

    @classmethod
    def setUpClass(cls):
        graph = field(2, b"g") + field(11, pair(b"x"))
        for i, op in enumerate((b"Relu", b"Neg", b"Relu", b"Neg")):
            before = b"x" if i == 0 else b"v%d" % (i - 1)
            graph += field(1, node(op, [before], b"v%d" % i, name=b"%s%d" % (op.lower(), i)))
        graph += field(12, pair(b"v3"))
        cls.MODEL.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))

    def ask(self, *args, command="explain"):
        answer = tenon(command, self.MODEL, *self.HOST, *self.BOTH, "--json", *args)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return json.loads(answer.stdout)

    def test_json_adds_up(self):
        told = self.ask()
        plan = told["plan"]
        self.assertEqual(plan["cost_estimate_ns"], plan["compute_ns"] + plan["transfers_ns"] +
                         plan["handovers_ns"] - plan["claims_ns"])
        self.assertLessEqual(plan["lower_bound_ns"], plan["cost_estimate_ns"])
        self.assertEqual(sum(len(i["nodes"]) for i in told["islands"]), 4)
        self.assertEqual(sum(t["cost_estimate_ns"] for t in told["transfers"]),
                         plan["transfers_ns"])
        self.assertEqual(told["planned"]["handovers"], plan["handovers"])
        self.assertEqual({n["why"] for n in told["nodes"]}, {"CHEAPEST"})
        for one in told["alternatives"]:
            self.assertGreaterEqual(one["cost_estimate_ns"], plan["cost_estimate_ns"])

    def test_pins_from_options_and_files(self):
        nodes = {"number": "1", "range": "1-2", "op": "op:Neg", "name": "neg*"}
        expected = {"number": {1}, "range": {1, 2}, "op": {1, 3}, "name": {1, 3}}
        for kind, text in nodes.items():
            told = self.ask("--pin", f"{text}=fake:beta", "--forbid", "0=fake:beta")
            there = {n["node"] for n in told["nodes"] if n["device"] == "fake:beta"}
            self.assertLessEqual(expected[kind], there, kind)
            self.assertNotIn(0, there)
        rules = WORK / "rules.plan"
        rules.write_text("# a comment\n\npin op:Neg fake:beta\nforbid 0 fake:beta\n")
        told = self.ask("--policy", rules)
        self.assertEqual(told["nodes"][1]["device"], "fake:beta")
        beside = pathlib.Path(str(self.MODEL) + ".plan")
        beside.write_text("pin 2 fake:beta\n")
        try:
            self.assertEqual(self.ask()["nodes"][2]["device"], "fake:beta")
        finally:
            beside.unlink()

    def test_gain_names_the_op_that_is_missing(self):
        told = self.ask("--forbid", "op:Neg=fake:alpha", "--forbid", "op:Relu=fake:beta", "--gain")
        self.assertGreater(told["plan"]["handovers"], 2)
        best = told["gains"][0]
        self.assertGreater(best["saves_estimate_ns"], 0)
        self.assertEqual(best["nodes"], 2)
        self.assertIn((best["device"], best["op_type"]),
                      (("fake:alpha", "Neg"), ("fake:beta", "Relu")))

    def test_whatif_shows_the_difference(self):
        told = self.ask("--move", "1=fake:beta", "--move", "0=fake:alpha", command="whatif")
        self.assertGreater(told["after"]["cost_estimate_ns"], told["before"]["cost_estimate_ns"])
        self.assertGreater(told["after"]["islands"], told["before"]["islands"])
        self.assertTrue(told["moved"])
        without = self.ask("--without", "fake:alpha", command="whatif")
        self.assertEqual({m["to"] for m in without["moved"]} | {"fake:beta"}, {"fake:beta"})

    def test_devices_left_out_by_the_name_of_their_plugin(self):
        devices = ("--device", "fake:alpha,reference")
        other = ("--plugin", TENON.parents[1] / "lib/tenon/plugins/reference.so")
        self.assertEqual(self.places("--without", "fake", *devices, *other), {"reference:cpu"})
        self.assertEqual(self.places("--without", "reference:cpu", *devices, *other),
                         {"fake:alpha"})

    def places(self, *args):
        answer = tenon("explain", self.MODEL, *self.HOST, "--json", *args)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        return {n["device"] for n in json.loads(answer.stdout)["nodes"]}

    def test_devices_left_out_by_a_file_stay_out(self):
        rules = WORK / "without.plan"
        rules.write_text("device fake:nowhere\nwithout fake:alpha\n")
        three = ("--device", "fake:alpha,fake:beta,reference", "--policy", rules,
                 "--plugin", TENON.parents[1] / "lib/tenon/plugins/reference.so")
        self.assertEqual(self.places("--without", "fake:beta", *three), {"reference:cpu"})
        # Lists add up: in a file line by line, on the command line option by option.
        rules.write_text("device fake:alpha\ndevice fake:beta,reference\n"
                         "without fake:alpha\nwithout fake:beta\n")
        self.assertEqual(self.places(*three[2:]), {"reference:cpu"})
        rules.write_text("")
        self.assertEqual(self.places("--without", "fake:beta", "--without", "fake:alpha", *three),
                         {"reference:cpu"})
        beside = pathlib.Path(str(self.MODEL) + ".plan")
        beside.write_text("without fake:alpha\n")
        try:
            told = self.ask("--pin", "0=fake:beta", command="whatif")
        finally:
            beside.unlink()
        self.assertEqual(told["moved"], [])

    def test_explain_names_what_does_not_fit(self):
        for args, word in ((("--shape", "y=1"), '"y=1"'),
                           (("--pin", "neg1=null:null", "--device", "fake:alpha,null",
                             "--plugin", TENON.parents[1] / "lib/tenon/plugins/null.so"),
                            'node "neg1" (Neg) is pinned to null:null')):
            answer = tenon("explain", self.MODEL, *self.HOST, *args)
            self.assertEqual(answer.returncode, 2, answer.stdout)
            self.assertIn(word, answer.stderr)

    def test_devices_left_out_that_are_none(self):
        for command in ("explain", "whatif"):
            for names, word in (("fake:nowhere", '"fake:nowhere"'), ("fak", '"fak"'),
                                ("fake:alpha,fake:beta", "no device"), ("fake", "no device")):
                answer = tenon(command, self.MODEL, *self.HOST, *self.BOTH, "--without", names)
                self.assertEqual(answer.returncode, 2, (names, answer.stdout))
                self.assertIn(word, answer.stderr)

    def links(self, name, *pairs, **more):
        path = WORK / name
        path.write_text(json.dumps({"schema_version": 1, "pairs": pairs, **more}))
        return path

    def test_whatif_with_other_links(self):
        pair = {"from": "fake:alpha", "to": "fake:beta", "handover_ns": 9000000, "copy_ns": 7,
                "bytes_per_second": 0}
        rules = pathlib.Path(str(self.MODEL) + ".plan")
        rules.write_text("pin op:Neg fake:beta\npin op:Relu fake:alpha\n")
        try:
            told = self.ask("--links", self.links("slow.json", pair), command="whatif")
            self.assertEqual(told["before"]["islands"], 4)
            free = [dict(pair, **{"from": a, "to": b}, handover_ns=0, copy_ns=0)
                    for a in ("host", "fake:alpha", "fake:beta")
                    for b in ("host", "fake:alpha", "fake:beta") if a != b]
            none = self.ask("--links", self.links("free.json", *free), command="whatif")
        finally:
            rules.unlink()
        self.assertGreater(told["after"]["handovers_ns"], told["before"]["handovers_ns"])
        self.assertEqual(none["after"]["handovers_ns"], 0)
        self.assertEqual(none["after"]["transfers_ns"], 0)
        self.assertGreater(none["before"]["handovers_ns"], 0)

    def test_links_that_are_none_are_named(self):
        pair = {"from": "host", "to": "fake:alpha", "handover_ns": 1, "copy_ns": 1,
                "bytes_per_second": 1}
        broken = WORK / "broken.json"
        broken.write_text("{]")
        twice = WORK / "twice.json"
        twice.write_text('{"schema_version": 1, "schema_version": 1, "pairs": []}')
        large = WORK / "large.json"
        large.write_text(" " * (1 << 20) + "{}")
        without = {k: v for k, v in pair.items() if k != "copy_ns"}
        for path, word in (
                (WORK / "no-such.json", "cannot be read"),
                (broken, "line 1"),
                (twice, "duplicate"),
                (large, "larger than"),
                (self.links("a.json", pair, schema_version=2), "schema_version"),
                (self.links("b.json"), "1 to"),
                (self.links("c.json", pair, without), 'pairs[1]: "copy_ns" is missing'),
                (self.links("d.json", dict(pair, handover_ns=1.5)), "not a whole number"),
                (self.links("e.json", dict(pair, handover_ns=-1)), "out of range"),
                (self.links("f.json", dict(pair, copy_ns=1 << 41)), "out of range"),
                (self.links("g.json", dict(pair, to=7)), '"to" is not a text'),
                (self.links("h.json", dict(pair, speed=7)), '"speed" is no key'),
                (self.links("i.json", "host"), "not an object"),
                (self.links("j.json", dict(pair, to="fake:nowhere")), "fake:nowhere"),
                (self.links("k.json", dict(pair, to="host")), "to itself")):
            answer = tenon("whatif", self.MODEL, *self.HOST, *self.BOTH, "--links", path)
            self.assertEqual(answer.returncode, 2, (path, answer.stderr))
            self.assertIn(word, answer.stderr)

    def test_text_dot_and_page(self):
        text = tenon("explain", self.MODEL, *self.HOST, *self.BOTH, "--gain")
        self.assertEqual(text.returncode, 0, text.stderr)
        for word in ("islands", "handovers", "host waits", "gap", "alternatives", "refused"):
            self.assertIn(word, text.stdout)
        dot = tenon("explain", self.MODEL, *self.HOST, *self.BOTH, "--dot").stdout
        self.assertTrue(dot.startswith("digraph plan {") and dot.rstrip().endswith("}"))
        self.assertEqual(dot.count("{"), dot.count("}"))
        page = WORK / "plan.html"
        answer = tenon("explain", self.MODEL, *self.HOST, *self.BOTH, "--html", page)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        drawn = page.read_text()
        self.assertIn("<svg", drawn)
        self.assertNotIn("http-equiv", drawn)
        self.assertNotIn("src=", drawn)  # needs nothing else
        told = json.loads(tenon("explain", self.MODEL, *self.HOST, *self.BOTH, "--json").stdout)
        places = {wait["before_island"] for wait in told["waits"]}
        self.assertEqual(len(told["waits"]), told["planned"]["host_waits"])
        self.assertIn(None, places)  # the end
        self.assertEqual(drawn.count("class='w'>host waits"), len(places))
        self.assertEqual(text.stdout.count("the host waits for"), len(places))
        whatif = tenon("whatif", self.MODEL, *self.HOST, *self.BOTH, "--move", "1=fake:beta")
        self.assertEqual(whatif.returncode, 0, whatif.stderr)
        self.assertIn("->", whatif.stdout)

    def hint(self, model, device, op_type="Relu"):
        answer = tenon("explain", model, *self.HOST, "--device", "fake:alpha," + device, "--json",
                       "--gain", "--plan-only")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        gains = [g for g in json.loads(answer.stdout)["gains"]
                 if g["device"] == device and g["op_type"] == op_type]
        self.assertEqual(len(gains), 1)
        self.assertEqual(len(gains[0]["hints"]), 1)
        return gains[0], gains[0]["hints"][0]

    def test_hints_follow_from_reasons(self):
        """Each with the numbers of the refusal; where they are heeded, the device takes the node."""
        gain, hint = self.hint(self.MODEL, "fake:worker")
        self.assertEqual((gain["nodes"], hint["nodes"], gain["taken"]), (2, 2, 0))
        self.assertEqual((hint["reason"], hint["limit"], hint["actual"]), ("DIM_LIMIT", 1, 2))
        self.assertIn("size 2, at most 1", hint["hint"])
        _, hint = self.hint(self.MODEL, "fake:mute")
        self.assertEqual(hint["reason"], "OP_VERSION")
        self.assertIn("opset 90 or newer", hint["hint"])
        _, hint = self.hint(self.MODEL, "fake:inline")
        self.assertEqual((hint["reason"], hint["hint"]), ("OP_UNSUPPORTED", ""))
        model = WORK / "open.onnx"
        for dim in (field(2, b"N"), field(1, 2)):
            port = field(2, field(1, field(1, 1) + field(2, field(1, dim))))
            graph = field(2, b"g") + field(11, field(1, b"image") + port)
            graph += field(11, pair(b"other")) + field(1, node(b"Relu", [b"image"], b"y"))
            graph += field(1, node(b"Neg", [b"other"], b"z"))
            graph += field(12, field(1, b"y") + port) + field(12, pair(b"z"))
            model.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
            answer = tenon("explain", model, *self.HOST, "--device", "fake:alpha,fake:shared",
                           "--json", "--gain", "--plan-only")
            gains = json.loads(answer.stdout)["gains"]
            if dim == field(1, 2):
                self.assertEqual([g for g in gains if g["device"] == "fake:shared"], [])
            else:
                _, hint = self.hint(model, "fake:shared")
                self.assertEqual(hint["reason"], "DYNAMIC_SHAPE")
                self.assertEqual(hint["hint"], "give the model fixed sizes for image")

    def test_counts_of_stages_are_not_known(self):
        """How many elements are not zero only a run tells: what it hands over is not 0 until then."""
        model = WORK / "stages.onnx"
        graph = field(2, b"g") + field(11, pair(b"x"))
        for op, before, after in ((b"Relu", b"x", b"a"), (b"NonZero", b"a", b"i"),
                                  (b"Abs", b"i", b"y")):
            graph += field(1, node(op, [before], after))
        graph += field(12, floats(b"y", (), 7))
        model.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
        answer = tenon("explain", model, "--device", "reference", "--json")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        told = json.loads(answer.stdout)
        self.assertGreater(told["plan"]["stages"], 1)
        self.assertIsNone(told["planned"])
        text = tenon("explain", model, "--device", "reference").stdout
        self.assertIn("are known once it has run", text)
        self.assertNotIn("0 transfers", text)

    def test_memory_is_capped(self):
        """The reference takes constants; its weights are 8 bytes of one Add."""
        model = WORK / "capped.onnx"
        weights = field(1, 2) + field(2, 1) + field(8, b"w") + field(9, b"\0" * 8)
        graph = field(2, b"g") + field(5, weights) + field(11, pair(b"x"))
        graph += field(1, node(b"Add", [b"x", b"w"], b"y", name=b"the add"))
        graph += field(12, pair(b"y"))
        model.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
        rules = WORK / "memory.plan"
        rules.write_text("memory reference:cpu 7\n")
        for args, code in ((("--memory", "reference:cpu=7"), 2), (("--policy", rules), 2),
                           (("--memory", "reference:cpu=1kB,reference:cpu=8"), 0),
                           (("--memory", "reference:cpu=own"), 0)):
            answer = tenon("explain", model, "--device", "reference", "--no-fallback", *args)
            self.assertEqual(answer.returncode, code, (args, answer.stderr))
            if code != 0:
                self.assertIn("reference:cpu has room for 7 of 7 bytes", answer.stderr)
                self.assertIn('"the add" (Add) 8', answer.stderr)

    def test_bad_input_is_named(self):
        rules = WORK / "bad.plan"
        rules.write_text("pin only-one-word\n")
        for args, code, word in (
                (("--pin", "99=fake:alpha"), 2, "there are 4"),
                (("--pin", "0"), 2, "NODES=DEVICE"),
                (("--pin", "0=fake:nowhere"), 2, "fake:nowhere"),
                (("--policy", rules), 2, "bad rule"),
                (("--memory", "fake:alpha"), 2, "DEVICE=SIZE"),
                (("--memory", "fake:alpha=64 MB"), 2, "64 MB"),
                (("--memory", "fake:alpha=0"), 2, "DEVICE=SIZE"),
                (("--memory", "fake:alpha=9999999999999999999GB"), 2, "DEVICE=SIZE"),
                (("--memory", "fake:nowhere=1MB"), 2, "fake:nowhere"),
                (("--policy", WORK / "no-such.plan"), 2, "no-such.plan"),
                (("--shape", "x=2xq"), 2, "--shape"),
                (("--what",), 2, "--what")):
            answer = tenon("explain", self.MODEL, *self.HOST, *self.BOTH, *args)
            self.assertEqual(answer.returncode, code, (args, answer.stderr))
            self.assertIn(word, answer.stderr)
        answer = tenon("whatif", self.MODEL, *self.HOST, *self.BOTH)
        self.assertEqual(answer.returncode, 2)
        self.assertIn("nothing is to change", answer.stderr)


class Calibrate(unittest.TestCase):
    """In a cache folder of its own; the numbers are whatever they are."""

    def setUp(self):
        self.cache = WORK / "calibrated"
        shutil.rmtree(self.cache, ignore_errors=True)
        self.cache.mkdir()
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.cache))
        self.path = self.cache / "tenon" / "calibration.json"

    def cost(self, *args):
        result = tenon("run", MODEL, "--device", "reference", "--json", *args,
                       env=self.environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["plan"]["cost_estimate_ns"]

    def calibrate(self, *args):
        return tenon("calibrate", "--quick", "--device", "reference", *args, env=self.environment)

    def test_writes_what_plans_then_use(self):
        before = self.cost()
        result = self.calibrate("--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual(report, json.loads(self.path.read_text()))
        self.assertEqual(report["schema_version"], 1)
        self.assertEqual([d["id"] for d in report["devices"]], ["reference:cpu"])
        classes = report["devices"][0]["classes"]
        for name in ("matmul", "convolution", "elementwise", "reduction", "other"):
            self.assertIn(classes[name]["trust"], ("good", "fair", "poor"))
            self.assertGreater(classes[name]["fixed_ns"] + classes[name]["flops_per_second"] +
                               classes[name]["bytes_per_second"], 0)
        self.assertEqual({(p["from"], p["to"]) for p in report["pairs"]},
                         {("host", "reference:cpu"), ("reference:cpu", "host")})
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertNotEqual(self.cost(), before)
        self.assertEqual(self.cost("--no-calibration"), before)

    def test_makes_the_folder_of_its_file(self):
        library = pathlib.Path(TENON).parent.parent / "lib/tenon/plugins/reference.so"
        result = tenon("calibrate", "--quick", "--no-search", "--plugin", library,
                       env=self.environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.path.parent.stat().st_mode & 0o777, 0o700)
        self.assertTrue(self.path.is_file())

    def test_a_file_by_hand_sets_the_cost(self):
        self.assertEqual(self.calibrate().returncode, 0)
        report = json.loads(self.path.read_text())
        for one in report["devices"][0]["classes"].values():
            one.update(fixed_ns=1000000, flops_per_second=0, bytes_per_second=0,
                       rows_per_second=0)
        for pair in report["pairs"]:
            pair.update(handover_ns=10, copy_ns=0, bytes_per_second=0)
        self.path.write_text(json.dumps(report))
        nodes = json.loads(tenon("inspect", MODEL, "--json").stdout)["nodes"]
        self.assertEqual(self.cost(), 1000000 * nodes + 20)

    def test_keeps_what_is_known_of_other_devices(self):
        self.assertEqual(self.calibrate().returncode, 0)
        report = json.loads(self.path.read_text())
        report["devices"].append(dict(report["devices"][0], id="other:gpu"))
        report["pairs"].append(dict(report["pairs"][0], **{"from": "other:gpu"}))
        self.path.write_text(json.dumps(report))
        self.assertEqual(self.calibrate().returncode, 0)
        again = json.loads(self.path.read_text())
        self.assertEqual([d["id"] for d in again["devices"]], ["reference:cpu", "other:gpu"])
        self.assertEqual(len(again["pairs"]), 3)

    def test_a_bad_file_is_said_and_not_used(self):
        before = self.cost()
        self.path.parent.mkdir(exist_ok=True)
        for text in ("{", "[]", '{"schema_version": 7}'):
            self.path.write_text(text)
            self.assertEqual(self.cost(), before)
            said = tenon("run", MODEL, "--device", "reference", "--verbose", env=self.environment)
            self.assertIn("calibration.json is not used", said.stderr)
        self.assertEqual(self.calibrate().returncode, 0)
        self.assertNotEqual(self.cost(), before)

    def test_refuses_devices_that_are_not_there_and_nowhere_to_write(self):
        result = tenon("calibrate", "--device", "none", env=self.environment)
        self.assertEqual(result.returncode, 2)
        self.assertIn('no device "none"', result.stderr)
        result = self.calibrate("--output", WORK / "absent" / "file.json")
        self.assertEqual(result.returncode, 3)
        self.assertEqual(self.calibrate("--fast").returncode, 2)


if __name__ == "__main__":
    os.makedirs(WORK, exist_ok=True)
    unittest.main(argv=[sys.argv[0], "-v"])
