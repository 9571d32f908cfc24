#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes partition problems made from the models of tools/zoo for four sets of devices.

    zoo_problems.py ZOO_FOLDER --out DIR [MODELS...]

Shapes come from ONNX's shape inference, costs from rooflines of devices that do not exist: round
numbers in the range of their kind. The problems are for comparing optimisers on the structure of
real networks, never for claiming speed. Costs are whole tenths of a microsecond.

Op 0 produces the model's inputs and the last op takes its outputs, both on the host. Constants lie
wherever they are needed, so they are neither ops nor tensors.
"""
import argparse
import dataclasses
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import shape_inference

from problem import UNSUPPORTED, Problem, Tensor

UNIT = 1e-7  # seconds
HANDOVER = 75e-6
LINK_LATENCY, LINK_BYTES = 10e-6, 12e9  # one hop between the host and a device

MODELS = ("resnet50 mobilenet_v2 squeezenet densenet121 inception efficientnet_b0 unet yolo "
          "vit_small bert_base gpt_decoder whisper_encoder resnet50_int8 mobilenet_v2_int8").split()


@dataclasses.dataclass
class Device:
    """Rates a second; kinds: op types that it runs, None for all; lacks: those it does not."""
    flops: float
    bytes: float
    start: float
    kinds: frozenset = None
    lacks: frozenset = frozenset()

    def runs(self, kind):
        return kind not in self.lacks and (self.kinds is None or kind in self.kinds)

    def cost(self, work):
        return self.start + max(work.flops / self.flops, work.bytes / self.bytes)


HOST = Device(150e9, 20e9, 1e-6)
GPU = Device(1.5e12, 100e9, 4e-6)
SMALL_GPU = Device(0.9e12, 60e9, 3e-6)
NPU = Device(12e12, 80e9, 1e-6, kinds=frozenset(
    "Conv MatMul Gemm Relu Clip Add Mul MaxPool AveragePool GlobalAveragePool Concat QuantizeLinear "
    "DequantizeLinear Reshape Flatten".split()))
WITHOUT_A_FEW = frozenset("Softmax Resize HardSigmoid HardSwish Erf Gelu LayerNormalization "
                          "GlobalAveragePool Concat Pow Gather".split())
WITHOUT_POOLS = frozenset("MaxPool AveragePool Transpose Sigmoid Tanh Split Slice".split())

SETS = {
    "gpu": [HOST, GPU],
    "gpu_holes": [HOST, dataclasses.replace(GPU, lacks=WITHOUT_A_FEW)],
    "npu_gpu": [HOST, NPU, dataclasses.replace(GPU, lacks=frozenset(["Softmax", "Resize"]))],
    "two_gpus": [HOST, dataclasses.replace(GPU, lacks=WITHOUT_A_FEW),
                 dataclasses.replace(SMALL_GPU, lacks=WITHOUT_POOLS)],
}


@dataclasses.dataclass
class Work:
    flops: float
    bytes: float


class Shapes:
    """Shapes and types of a model's values with the inputs of its first case."""

    def __init__(self, model):
        feeds = model.cases[0](np.random.default_rng(1))
        proto = onnx.ModelProto()
        proto.CopyFrom(model.proto)
        del proto.graph.value_info[:]
        for value in proto.graph.input:
            fed = feeds[value.name].shape
            for dim, size in zip(value.type.tensor_type.shape.dim, fed):
                dim.dim_value = size
        # Sizes of outputs follow from those of inputs; names given to them would stand in the way.
        for value in proto.graph.output:
            value.type.tensor_type.ClearField("shape")
        graph = shape_inference.infer_shapes(proto, data_prop=True).graph
        self.graph = graph
        self.constants = {c.name: tuple(c.dims) for c in graph.initializer}
        self.values = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            sizes = tuple(d.dim_value or 1 for d in tensor.shape.dim)
            self.values[value.name] = sizes, self.width(tensor.elem_type)
        for constant in graph.initializer:
            self.values[constant.name] = tuple(constant.dims), self.width(constant.data_type)

    @staticmethod
    def width(kind):
        return onnx.helper.tensor_dtype_to_np_dtype(kind).itemsize if kind else 4

    def dims(self, name):
        return self.values.get(name, ((1,), 4))[0]

    def size(self, name):
        dims, width = self.values.get(name, ((1,), 4))
        return math.prod(dims) * width


def flops(node, shapes):
    out = math.prod(shapes.dims(node.output[0]))
    if node.op_type == "Conv":
        return 2.0 * out * math.prod(shapes.dims(node.input[1])[1:])
    if node.op_type == "ConvTranspose":
        return 2.0 * math.prod(shapes.dims(node.input[0])) * math.prod(
            shapes.dims(node.input[1])[1:])
    if node.op_type in ("MatMul", "Gemm"):
        transposed = any(a.name == "transA" and a.i for a in node.attribute)
        return 2.0 * out * shapes.dims(node.input[0])[-2 if transposed else -1]
    if node.op_type in ("Softmax", "LayerNormalization", "Erf", "Gelu", "Sigmoid", "Tanh"):
        return 10.0 * out
    return 1.0 * max(out, *(math.prod(shapes.dims(i)) for i in node.input if i), 1)


def work_of(node, shapes):
    names = [name for name in (*node.input, *node.output) if name]
    return Work(flops(node, shapes), float(sum(shapes.size(name) for name in names)))


def units(seconds):
    return round(seconds / UNIT)


def copy_matrix(size, labels):
    def cost(a, b):
        hops = 0 if a == b else 1 if 0 in (a, b) else 2
        return units(hops * (LINK_LATENCY + size / LINK_BYTES))
    return [[cost(a, b) for b in range(labels)] for a in range(labels)]


def make(name, devices, shapes):
    """The problem of one model on devices."""
    labels = len(devices)
    constants = set(shapes.constants)
    maker = {value.name: 0 for value in shapes.graph.input if value.name not in constants}
    host_only = [0] + [UNSUPPORTED] * (labels - 1)
    ops, readers = [host_only], {}
    for node in shapes.graph.node:
        used = [i for i in node.input if i in maker]
        if not used:  # its result is a constant
            constants.update(node.output)
            continue
        for value in used:
            readers.setdefault(value, []).append(len(ops))
        work = work_of(node, shapes)
        ops.append([units(d.cost(work)) if d.runs(node.op_type) else UNSUPPORTED
                    for d in devices])
        maker.update({output: len(ops) - 1 for output in node.output if output})
    for value in shapes.graph.output:
        readers.setdefault(value.name, []).append(len(ops))
    ops.append(host_only)
    handover = [[0 if a == b else units(HANDOVER) for b in range(labels)] for a in range(labels)]
    problem = Problem(name, handover, ops, [])
    for value, users in sorted(readers.items(), key=lambda item: maker[item[0]]):
        size = shapes.size(value)
        problem.tensors.append(Tensor(maker[value], sorted(set(users)), copy_matrix(size, labels),
                                      size))
    return problem


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("zoo", help="the folder tools/zoo")
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    sys.path.insert(0, options.zoo)
    import zoo
    options.out.mkdir(parents=True, exist_ok=True)
    for model in options.models or MODELS:
        shapes = Shapes(zoo.MODELS[model](True))
        for name, devices in SETS.items():
            make(f"{model}.{name}", devices, shapes).write(options.out / f"{model}.{name}.txt")


if __name__ == "__main__":
    main()
