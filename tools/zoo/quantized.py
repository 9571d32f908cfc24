# SPDX-License-Identifier: Apache-2.0
"""Int8 models in QDQ form: a float network whose weights and activations are quantised.

Weights get a symmetric int8 scale for each output channel, activations an asymmetric uint8 scale
from the range that they take on the seeded images, biases int32. BatchNormalization is folded
first.
"""
import copy

import numpy as np
import onnx
from onnx import helper, numpy_helper

import convnets
from check import run
from nn import Model

# What these produce goes into the next node unquantised: their operands lie on a grid already, or
# another node ends the group that an integer kernel computes.
PASS_THROUGH = {"MaxPool", "Flatten", "Identity"}
ACTIVATIONS = {"Relu", "Clip"}


def coarse(scale):
    """A scale of eight significant bits, so that calibration on another machine gives the same."""
    mantissa, exponent = np.frexp(scale)
    return np.ldexp(np.ceil(mantissa * 256) / 256, exponent).astype(np.float32)


def fold_batch_norm(graph):
    """Conv then BatchNormalization becomes a Conv with a bias."""
    weights = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
    producer = {n.output[0]: n for n in graph.node}
    for bn in [n for n in graph.node if n.op_type == "BatchNormalization"]:
        conv = producer[bn.input[0]]
        scale, bias, mean, var = (weights.pop(n) for n in bn.input[1:5])
        factor = scale / np.sqrt(var + helper.get_node_attr_value(bn, "epsilon"))
        weights[conv.input[1]] = weights[conv.input[1]] * factor[:, None, None, None]
        weights[conv.output[0] + ".bias"] = bias - mean * factor
        conv.input.append(conv.output[0] + ".bias")
        conv.output[0] = bn.output[0]
        graph.node.remove(bn)
    del graph.initializer[:]
    graph.initializer.extend(numpy_helper.from_array(a.astype(np.float32) if a.dtype.kind == "f"
                                                     else a, n) for n, a in weights.items())


def ranges(model, names, feeds):
    """The smallest and largest value that each tensor takes."""
    probe = copy.deepcopy(model)
    del probe.graph.output[:]
    probe.graph.output.extend(helper.make_empty_tensor_value_info(n) for n in names)
    found = {n: [0.0, 0.0] for n in names}
    for feed in feeds:
        inputs = {n: feed[n] for n in names if n in feed}
        for name, value in {**dict(zip(names, run(probe, feed))), **inputs}.items():
            found[name] = [min(found[name][0], value.min()), max(found[name][1], value.max())]
    return found


class Quantizer:
    """Rewrites one graph."""

    def __init__(self, model, feeds):
        self.graph = model.graph
        self.weights = {w.name: numpy_helper.to_array(w) for w in self.graph.initializer}
        self.users = {}
        for node in self.graph.node:
            for name in node.input:
                self.users.setdefault(name, []).append(node.op_type)
        self.points = [i.name for i in self.graph.input]
        self.points += [n.output[0] for n in self.graph.node if self.is_point(n)]
        self.ranges = ranges(model, self.points, feeds)
        self.grid = {}  # tensor -> (name of its scale, scale)
        self.added = {}

    def is_point(self, node):
        followed = set(self.users.get(node.output[0], ["end"])) <= ACTIVATIONS
        return node.op_type not in PASS_THROUGH and not followed

    def constant(self, name, array):
        self.added[name] = array
        return name

    def quantize(self, name):
        """Puts a tensor on a grid of 256 points; returns the nodes and the name to read instead."""
        low, high = self.ranges[name]
        scale = coarse((high - low) / 255.0)
        point = np.uint8(np.clip(np.round(-low / scale), 0, 255))
        operands = [self.constant(name + ".scale", scale), self.constant(name + ".zero", point)]
        self.grid[name + ".dq"] = scale
        return [helper.make_node("QuantizeLinear", [name] + operands, [name + ".q"], name + ".q"),
                helper.make_node("DequantizeLinear", [name + ".q"] + operands, [name + ".dq"],
                                 name + ".dq")]

    def quantize_weights(self, node, scale_in):
        """The weight of a Conv or Gemm, channel by channel, and its bias."""
        weight, bias = node.input[1], node.input[2]
        w, b = self.weights.pop(weight), self.weights.pop(bias)
        flat = np.abs(w).reshape(len(w), -1).max(1)
        scale = coarse(np.maximum(flat, 1e-6) / 127.0)
        shaped = scale.reshape([-1] + [1] * (w.ndim - 1))
        parts = [(weight, np.clip(np.round(w / shaped), -127, 127).astype(np.int8), scale),
                 (bias, np.round(b / (scale * scale_in)).astype(np.int32), scale * scale_in)]
        for index, (name, values, unit) in enumerate(parts):
            operands = [self.constant(name + ".q", values), self.constant(name + ".scale", unit)]
            node.input[1 + index] = name + ".dq"
            yield helper.make_node("DequantizeLinear", operands, [name + ".dq"], name + ".dq",
                                   axis=0)

    def rewrite(self):
        nodes, renamed = [], {}
        for entry in self.graph.input:
            nodes += self.quantize(entry.name)
            renamed[entry.name] = entry.name + ".dq"
        for node in self.graph.node:
            for i, name in enumerate(node.input):
                node.input[i] = renamed.get(name, name)
            if node.op_type in ("Conv", "Gemm"):
                nodes += self.quantize_weights(node, self.grid[node.input[0]])
            nodes.append(node)
            output = node.output[0]
            if node.op_type in PASS_THROUGH:
                self.grid[output] = self.grid.get(node.input[0])
            elif output in self.ranges:
                nodes += self.quantize(output)
                renamed[output] = output + ".dq"
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        del self.graph.initializer[:]
        self.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), n)
                                      for n, a in {**self.weights, **self.added}.items())



def quantized(name, build, real):
    model = build(real, softmax=False)
    fold_batch_norm(model.proto.graph)
    rng = np.random.default_rng(8)
    Quantizer(model.proto, [case(rng) for case in model.cases * 2]).rewrite()
    model.proto.graph.name = name
    onnx.checker.check_model(model.proto)
    return Model(model.proto, model.cases)


def resnet50_int8(real):
    return quantized("resnet50_int8", convnets.resnet50, real)


def mobilenet_v2_int8(real):
    return quantized("mobilenet_v2_int8", convnets.mobilenet_v2, real)
