#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What plans with the plugin cpu must look like, and answers of ops that ONNX's tests show little of.

    cpu_models_test.py TENON TENON_ONNX_SUITE PLUGIN_FOLDER WORK_FOLDER
"""
import json
import pathlib
import shutil
import subprocess
import sys
import unittest

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

TENON, SUITE, PLUGINS, WORK = (pathlib.Path(a) for a in sys.argv[1:5])
RNG = np.random.default_rng(7)
FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8


def model(nodes, feeds, constants, output, shape, dtype, opset):
    types = {np.dtype(np.uint8): UINT8, np.dtype(np.float32): FLOAT}
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info(n, types[v.dtype], v.shape) for n, v in feeds.items()],
        [helper.make_tensor_value_info(output, dtype, shape)],
        [v if isinstance(v, onnx.TensorProto) else numpy_helper.from_array(v, n)
         for n, v in constants.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 10
    onnx.checker.check_model(made)
    return made


def write_case(name, nodes, feeds, constants, output, shape, dtype=FLOAT, opset=21,
               cases="cases"):
    """A case as tenon-onnx-suite reads it, with onnxruntime's answer."""
    made = model(nodes, feeds, constants, output, shape, dtype, opset)
    folder = WORK / cases / name / "test_data_set_0"
    folder.mkdir(parents=True)
    onnx.save(made, folder.parent / "model.onnx")
    # Literally: optimised, it rounds what is multiplied with 4 bits to 8 bits.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(made.SerializeToString(), options,
                                           providers=["CPUExecutionProvider"])
    answer, = session.run(None, feeds)
    for i, (feed, value) in enumerate(feeds.items()):
        (folder / f"input_{i}.pb").write_bytes(
            numpy_helper.from_array(value, feed).SerializeToString())
    (folder / "output_0.pb").write_bytes(
        numpy_helper.from_array(answer, output).SerializeToString())


def qlinear_constants(weights, scales):
    return {"xs": np.float32(.02), "xz": np.uint8(120), "w": weights, "ws": scales,
            "wz": np.zeros(scales.shape, weights.dtype), "ys": np.float32(.3), "yz": np.uint8(100)}


class Answers(unittest.TestCase):
    def test_quantised_ops_agree_with_onnxruntime(self):
        shutil.rmtree(WORK / "cases", ignore_errors=True)
        names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
        image = RNG.integers(0, 255, (1, 5, 9, 9)).astype(np.uint8)
        kernel = RNG.integers(-127, 127, (7, 5, 3, 3)).astype(np.int8)
        rows = RNG.integers(0, 255, (3, 20)).astype(np.uint8)
        matrix = RNG.integers(-127, 127, (20, 6)).astype(np.int8)
        bias = RNG.integers(-500, 500, 7).astype(np.int32)
        for kind, conv, product in (("one", np.float32(.01), np.float32(.01)),
                                    ("each", np.linspace(.005, .015, 7, dtype=np.float32),
                                     np.linspace(.005, .015, 6, dtype=np.float32))):
            write_case(f"conv_{kind}",
                       [helper.make_node("QLinearConv", names + ["b"], ["y"], pads=[1] * 4)],
                       {"x": image}, {**qlinear_constants(kernel, conv), "b": bias}, "y",
                       [1, 7, 9, 9], UINT8, 17)
            write_case(f"matmul_{kind}", [helper.make_node("QLinearMatMul", names, ["y"])],
                       {"x": rows}, qlinear_constants(matrix, product), "y", [3, 6], UINT8, 17)
        for dtype, low in ((onnx.TensorProto.INT4, -8), (onnx.TensorProto.UINT4, 0)):
            values = RNG.integers(low, low + 16, (320, 40))  # more than a panel deep
            zeros = RNG.integers(low, low + 16, (10, 40))
            constants = {"w": helper.make_tensor("w", dtype, (320, 40), values.flatten()),
                         "s": RNG.uniform(.01, .02, (10, 40)).astype(np.float32),
                         "z": helper.make_tensor("z", dtype, (10, 40), zeros.flatten())}
            for count in (1, 3, 9):
                write_case(f"nibbles_{low}_{count}",
                           [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"], axis=0,
                                             block_size=32),
                            helper.make_node("MatMul", ["x", "f"], ["y"])],
                           {"x": RNG.standard_normal((count, 320)).astype(np.float32)}, constants,
                           "y", [count, 40])
        self.check("cases", 10)

    def test_weights_that_no_product_of_integers_takes_are_floats(self):
        shutil.rmtree(WORK / "weights", ignore_errors=True)
        rng = np.random.default_rng(9)
        rows = rng.integers(0, 255, (3, 20)).astype(np.uint8)
        image = rng.integers(0, 255, (1, 5, 9, 9)).astype(np.uint8)
        matrix = rng.integers(-100, 100, (20, 6)).astype(np.int8)
        kernel = rng.integers(-100, 100, (6, 5, 3, 3)).astype(np.int8)
        scales = np.linspace(.005, .015, 6, dtype=np.float32)
        zeros = np.arange(6, dtype=np.int8)
        blocks = rng.uniform(.005, .015, (20, 3)).astype(np.float32)
        for name, op, x, w, axis, ws, wz, block, shape in (
                ("zeros", "MatMul", rows, matrix, 1, scales, zeros, 0, [3, 6]),
                ("zeros_conv", "Conv", image, kernel, 0, scales, zeros, 0, [1, 6, 7, 7]),
                ("blocks", "MatMul", rows, matrix, 1, blocks, np.zeros((20, 3), np.int8), 2, [3, 6])):
            attributes = {"axis": axis, **({"block_size": block} if block else {})}
            write_case(name,
                       [helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["f"]),
                        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["v"], **attributes),
                        helper.make_node(op, ["f", "v"], ["y"])],
                       {"x": x}, {"xs": np.float32(.02), "xz": np.uint8(120), "w": w, "ws": ws,
                                  "wz": wz}, "y", shape, cases="weights")
        names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
        write_case("zeros_qlinear", [helper.make_node("QLinearConv", names, ["y"])], {"x": image},
                   {**qlinear_constants(kernel, scales), "wz": zeros}, "y", [1, 6, 7, 7], UINT8, 17,
                   cases="weights")
        self.check("weights", 4)

    def test_a_channel_whose_scale_is_0_keeps_its_bias(self):
        shutil.rmtree(WORK / "pruned", ignore_errors=True)
        rng = np.random.default_rng(14)
        scales = np.linspace(.005, .015, 6, dtype=np.float32)
        scales[2] = 0
        for name, op, x, w, axis, shape in (
                ("conv", "Conv", (1, 5, 9, 9), (6, 5, 3, 3), 0, [1, 6, 7, 7]),
                ("rows", "Gemm", (3, 20), (20, 6), 1, [3, 6])):
            write_case(name,
                       [helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["f"]),
                        helper.make_node("DequantizeLinear", ["w", "ws"], ["v"], axis=axis),
                        helper.make_node(op, ["f", "v", "b"], ["y"])],
                       {"x": rng.integers(0, 255, x).astype(np.uint8)},
                       {"xs": np.float32(.02), "xz": np.uint8(120),
                        "w": rng.integers(-100, 100, w).astype(np.int8), "ws": scales,
                        "b": np.linspace(.5, 3, 6, dtype=np.float32)}, "y", shape, cases="pruned")
        self.check("pruned", 2)

    def test_blocks_of_channels_meet_one_value_a_channel(self):
        shutil.rmtree(WORK / "channels", ignore_errors=True)
        rng = np.random.default_rng(8)
        for channels, size in ((32, 12), (48, 7), (20, 9), (64, 2)):
            constants = {"w": rng.standard_normal((channels, 16, 3, 3)).astype(np.float32),
                         "v": rng.standard_normal((channels, channels, 1, 1)).astype(np.float32)}
            for order in ("cg", "gc"):
                write_case(f"channels_{channels}_{order}",
                           [helper.make_node("Conv", ["x", "w"], ["c"], pads=[1] * 4),
                            helper.make_node("GlobalAveragePool", ["c"], ["m"]),
                            helper.make_node("Conv", ["m", "v"], ["g"]),
                            helper.make_node("Sub", order, ["s"]),
                            helper.make_node("Mul", ["s", "g"], ["y"])],
                           {"x": rng.standard_normal((2, 16, size, size)).astype(np.float32)},
                           constants, "y", [2, channels, size, size], cases="channels")
        self.check("channels", 8)

    def test_all_rows_of_large_images_are_computed(self):
        """More than 2e9 products each: algorithms are chosen by the upper rows alone."""
        shutil.rmtree(WORK / "large", ignore_errors=True)
        image = RNG.standard_normal((1, 64, 240, 256)).astype(np.float32)
        for name, kernel, pads, height, width in (("same", 3, (1, 1, 1, 1), 240, 256),
                                                  ("uneven", 3, (2, 0, 0, 1), 240, 255),
                                                  ("valid", 5, (0, 0, 0, 0), 236, 252)):
            weights = RNG.standard_normal((64, 64, kernel, kernel)).astype(np.float32)
            write_case(name, [helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=pads),
                              helper.make_node("Relu", ["c"], ["y"])],
                       {"x": image}, {"w": weights, "b": RNG.standard_normal(64).astype(np.float32)},
                       "y", [1, 64, height, width], cases="large")
        self.check("large", 3)

    def test_a_constant_that_is_read_in_two_ways_is_packed_twice(self):
        shutil.rmtree(WORK / "shared", ignore_errors=True)
        rng = np.random.default_rng(12)
        for size in (8, 64):
            square = rng.standard_normal((size, size)).astype(np.float32)
            write_case(f"transposed_{size}",
                       [helper.make_node("MatMul", ["x", "w"], ["a"]),
                        helper.make_node("Gemm", ["x", "w"], ["b"], transB=1),
                        helper.make_node("Add", ["w", "x"], ["c"]),
                        helper.make_node("Concat", ["a", "b", "c"], ["y"], axis=0)],
                       {"x": rng.standard_normal((size, size)).astype(np.float32)}, {"w": square},
                       "y", [3 * size, size], cases="shared")
        kernel = rng.standard_normal((32, 32, 1, 1)).astype(np.float32)
        write_case("convolutions",
                   [helper.make_node("Conv", ["x", "w"], ["a"]),
                    helper.make_node("ConvTranspose", ["a", "w"], ["y"])],
                   {"x": rng.standard_normal((1, 32, 5, 5)).astype(np.float32)}, {"w": kernel},
                   "y", [1, 32, 5, 5], cases="shared")
        # Scales of 4-bit weights become offsets with the zero points that they are used with.
        nodes, constants = [], {"s": rng.uniform(.01, .02, (2, 40)).astype(np.float32)}
        for i in "ab":
            for name, count in (("w", 64), ("z", 2)):
                constants[name + i] = helper.make_tensor(
                    name + i, onnx.TensorProto.UINT4, (count, 40),
                    rng.integers(0, 16, (count, 40)).flatten())
            nodes += [helper.make_node("DequantizeLinear", ["w" + i, "s", "z" + i], ["f" + i],
                                       axis=0, block_size=32),
                      helper.make_node("MatMul", ["x", "f" + i], ["y" + i])]
        for count in (1, 5):
            write_case(f"scales_{count}", nodes + [helper.make_node("Sub", ["ya", "yb"], ["y"])],
                       {"x": rng.standard_normal((count, 64)).astype(np.float32)}, constants,
                       "y", [count, 40], cases="shared")
        self.check("shared", 5)

    def test_parts_of_a_whole_may_begin_anywhere(self):
        shutil.rmtree(WORK / "parts", ignore_errors=True)
        rng = np.random.default_rng(13)
        for channels in ((32, 5, 32), (5, 32, 32), (32, 32, 5), (32, 20, 12)):
            nodes, constants = [], {}
            for i, count in enumerate(channels):
                constants[f"w{i}"] = rng.standard_normal((count, 32, 3, 3)).astype(np.float32)
                nodes.append(helper.make_node("Conv", ["x", f"w{i}"], [f"c{i}"], pads=[1] * 4))
            nodes.append(helper.make_node("Concat", [f"c{i}" for i in range(3)], ["y"], axis=1))
            write_case("_".join(map(str, channels)), nodes,
                       {"x": rng.standard_normal((1, 32, 9, 9)).astype(np.float32)}, constants,
                       "y", [1, sum(channels), 9, 9], cases="parts")
        self.check("parts", 4)

    def check(self, cases, floor):
        result = subprocess.run([SUITE, WORK / cases, "--device", "cpu:cpu", "--plugins",
                                 PLUGINS, "--floor", str(floor), "--range", "1e-5"],
                                capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


class Plans(unittest.TestCase):
    """What is fused costs nothing: no device that is faster at passes over memory gets it."""

    def test_activations_stay_with_their_products(self):
        WORK.mkdir(parents=True, exist_ok=True)
        nodes, constants, last = [], {}, "x"
        for i in range(3):
            constants[f"w{i}"] = RNG.standard_normal((64, 64, 3, 3)).astype(np.float32)
            nodes += [helper.make_node("Conv", [last, f"w{i}"], [f"c{i}"], pads=[1] * 4),
                      helper.make_node("Relu", [f"c{i}"], [f"r{i}"])]
            last = f"r{i}"
        image = np.zeros((1, 64, 224, 224), np.float32)
        path = WORK / "convolutions.onnx"
        onnx.save(model(nodes, {"x": image}, constants, last, image.shape, FLOAT, 17), path)
        result = subprocess.run(
            [TENON, "explain", path, "--device", "opencl,cpu", "--json", "--no-calibration",
             "--no-plan-store", "--plugin-dir", PLUGINS, "--no-search"],
            capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stderr)
        devices = {i["device"] for i in json.loads(result.stdout)["islands"]}
        self.assertEqual(devices, {"cpu:cpu"})


    def test_padding_that_the_library_does_not_take_is_another_devices(self):
        WORK.mkdir(parents=True, exist_ok=True)
        kernel = np.ones((4, 5, 1, 1), np.float32)
        node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], pads=[1] * 4, strides=[2] * 2)
        path = WORK / "padding.onnx"
        onnx.save(model([node], {"x": np.zeros((1, 4, 6, 6), np.float32)}, {"w": kernel}, "y",
                        [1, 5, 9, 9], FLOAT, 17), path)
        result = subprocess.run(
            [TENON, "explain", path, "--device", "cpu,reference", "--json", "--no-calibration",
             "--no-plan-store", "--plugin-dir", PLUGINS, "--no-search"],
            capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stderr)
        devices = {i["device"] for i in json.loads(result.stdout)["islands"]}
        self.assertEqual(devices, {"reference:cpu"})


class Groups(unittest.TestCase):
    """Conversions and the product between them are claimed and priced as integers."""

    LAYERS = 3
    IMAGE = np.zeros((1, 64, 56, 56), np.uint8)

    @classmethod
    def setUpClass(cls):
        WORK.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(10)
        # Powers of two: however it is computed, the result is the same to the bit.
        nodes, constants, last = [], {"s": np.float32(2**-4), "z": np.uint8(120),
                                      "ws": np.float32(2)**-rng.integers(8, 11, 64),
                                      "bs": np.float32(2**-14)}, "x"
        constants["ws"] = constants["ws"].astype(np.float32)
        for i in range(cls.LAYERS):
            constants[f"w{i}"] = rng.integers(-90, 90, (64, 64, 3, 3)).astype(np.int8)
            constants[f"b{i}"] = rng.integers(-500, 500, 64).astype(np.int32)
            nodes += [helper.make_node("DequantizeLinear", [last, "s", "z"], [f"x{i}"]),
                      helper.make_node("DequantizeLinear", [f"w{i}", "ws"], [f"v{i}"], axis=0),
                      helper.make_node("DequantizeLinear", [f"b{i}", "bs"], [f"c{i}"]),
                      helper.make_node("Conv", [f"x{i}", f"v{i}", f"c{i}"], [f"y{i}"], f"conv{i}",
                                       pads=[1] * 4),
                      helper.make_node("Relu", [f"y{i}"], [f"r{i}"]),
                      helper.make_node("QuantizeLinear", [f"r{i}", "s", "z"], [f"q{i}"])]
            last = f"q{i}"
        # Readers of what others read too: copies make groups of their own possible.
        nodes += [helper.make_node("Conv", ["x1", "v0", "c0"], ["y"]),
                  helper.make_node("QuantizeLinear", ["y", "s", "z"], ["q"])]
        made = model(nodes, {"x": cls.IMAGE}, constants, "q", [1, 64, 54, 54], UINT8, 21)
        made.graph.output.append(helper.make_tensor_value_info(last, UINT8, cls.IMAGE.shape))
        cls.path = WORK / "groups.onnx"
        onnx.save(made, cls.path)

    def tenon(self, command, *options):
        result = subprocess.run(
            [TENON, command, self.path, "--json", "--no-calibration", "--no-plan-store",
             "--plugin-dir", PLUGINS, "--no-search", *options],
            capture_output=True, text=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def test_every_product_is_in_a_group_that_saves(self):
        told = self.tenon("explain", "--device", "cpu")
        plan = told["plan"]
        self.assertEqual(plan["claims"], self.LAYERS + 1)
        self.assertEqual(plan["lost_claims"], 0)
        self.assertEqual(len(told["islands"]), 1)
        # Channels of 64 leave no room for doubt: even without instructions for integers, bytes are
        # a quarter.
        self.assertGreater(plan["claims_ns"], 0)
        self.assertLess(plan["claims_ns"], plan["compute_ns"])

    def test_groups_stay_whole_beside_other_devices(self):
        for others in (["opencl"], ["opencl", "vulkan"], ["reference"]):
            told = self.tenon("explain", "--device", ",".join([*others, "cpu"]))
            self.assertEqual(told["plan"]["claims"], self.LAYERS + 1)
            self.assertEqual({i["device"] for i in told["islands"]}, {"cpu:cpu"})

    def test_a_group_that_a_pin_takes_apart_saves_nothing(self):
        whole = self.tenon("explain", "--device", "cpu,reference")["plan"]
        for pins, groups in (("conv2=reference", self.LAYERS), ("conv0=reference", self.LAYERS),
                             ("op:Relu=reference", 1), ("op:DequantizeLinear=reference", 0)):
            told = self.tenon("explain", "--device", "cpu,reference", "--pin", pins)["plan"]
            self.assertEqual(told["claims"], groups, pins)
            self.assertLess(told["claims_ns"], whole["claims_ns"], pins)

    def test_answers_are_those_of_the_reference(self):
        image = np.random.default_rng(11).integers(0, 255, self.IMAGE.shape).astype(np.uint8)
        np.save(WORK / "image.npy", image)
        answers = []
        for device in (["cpu"], ["reference"], ["cpu,reference", "--pin", "conv1=reference"]):
            folder = WORK / "answers"
            shutil.rmtree(folder, ignore_errors=True)
            told = self.tenon("run", "--input", f"x={WORK / 'image.npy'}", "--device", *device,
                              "--output", folder)
            answers.append([np.load(folder / o["file"]) for o in told["outputs"]])
        for answer in answers:
            for values, expected in zip(answer, answers[0]):
                np.testing.assert_array_equal(values, expected)
                self.assertGreater(values.std(), 1)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=1)
