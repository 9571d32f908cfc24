#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes realistic ONNX models with seeded weights, for demonstrations, tests and benchmarks.

    zoo.py resnet50 --out DIR        writes DIR/resnet50.onnx

Weights are random but scaled so that activations keep their size through the network and the output
is not degenerate: the models compute at the cost of trained ones, they do not recognise anything.
"""
import argparse
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collects nodes and weights of one graph."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes = []
        self.weights = []

    def weight(self, name, array):
        self.weights.append(numpy_helper.from_array(array.astype(np.float32), name))
        return name

    def node(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def conv_bn(self, x, name, channels_in, channels_out, kernel, stride=1, gain=1.0):
        """Convolution without bias, then BatchNormalization with plausible statistics."""
        scale = math.sqrt(2.0 / (channels_in * kernel * kernel))
        shape = (channels_out, channels_in, kernel, kernel)
        w = self.weight(name + ".weight", self.rng.standard_normal(shape) * scale)
        pad = kernel // 2
        y = self.node("Conv", [x, w], name, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                      pads=[pad] * 4)
        parts = {
            "scale": gain * self.rng.uniform(0.8, 1.2, channels_out),
            "bias": self.rng.normal(0, 0.05, channels_out),
            "mean": self.rng.normal(0, 0.05, channels_out),
            "var": self.rng.uniform(0.8, 1.2, channels_out),
        }
        names = [self.weight(f"{name}.bn.{k}", v) for k, v in parts.items()]
        return self.node("BatchNormalization", [y] + names, name + ".bn", epsilon=1e-5)

    def model(self, name, inputs, outputs):
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)],
                                  producer_name="tenon-zoo")
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def bottleneck(b, x, name, channels_in, width, stride):
    """He et al. 2015, figure 5 right; the stride sits on the 3x3 convolution (version 1.5)."""
    channels_out = 4 * width
    y = b.node("Relu", [b.conv_bn(x, name + ".conv1", channels_in, width, 1)], name + ".relu1")
    y = b.node("Relu", [b.conv_bn(y, name + ".conv2", width, width, 3, stride)], name + ".relu2")
    # A small gain keeps the sum of sixteen residual branches from growing.
    y = b.conv_bn(y, name + ".conv3", width, channels_out, 1, gain=0.3)
    if stride != 1 or channels_in != channels_out:
        x = b.conv_bn(x, name + ".down", channels_in, channels_out, 1, stride, gain=0.7)
    return b.node("Relu", [b.node("Add", [y, x], name + ".add")], name + ".relu3")


def resnet50(seed=50):
    b = Builder(seed)
    x = b.node("Relu", [b.conv_bn("image", "stem", 3, 64, 7, 2)], "stem.relu")
    x = b.node("MaxPool", [x], "stem.pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, (blocks, width) in enumerate([(3, 64), (4, 128), (6, 256), (3, 512)]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            x = bottleneck(b, x, f"layer{stage + 1}.{block}", channels, width, stride)
            channels = 4 * width
    x = b.node("GlobalAveragePool", [x], "pool")
    x = b.node("Flatten", [x], "flat", axis=1)
    w = b.weight("fc.weight", b.rng.standard_normal((1000, 2048)) * 0.03)
    bias = b.weight("fc.bias", b.rng.normal(0, 0.1, 1000))
    x = b.node("Gemm", [x, w, bias], "logits", transB=1)
    b.node("Softmax", [x], "probabilities", axis=1)
    return b.model(
        "resnet50",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 224, 224])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, 1000])])


MODELS = {"resnet50": resnet50}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help=", ".join(sorted(MODELS)))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    unknown = [name for name in args.models if name not in MODELS]
    if unknown:
        print(f"zoo: no model {unknown[0]}; there are: {', '.join(sorted(MODELS))}", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        path = args.out / f"{name}.onnx"
        partial = path.with_suffix(".partial")
        onnx.save(MODELS[name](), partial)
        partial.rename(path)
        print(f"{path} ({path.stat().st_size / 1e6:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
