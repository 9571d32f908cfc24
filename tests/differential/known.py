# SPDX-License-Identifier: Apache-2.0
"""Disagreements that are explained, each with a reason and a reproducer: all are onnxruntime's but
those whose name begins with "limit", which Tenon refuses with an error.

An entry explains a shrunk graph of one node (or of one with a body) that its `matches` accepts. Its
`example` is a graph in which onnxruntime still answers differently; the run fails when it does not
any more, so that no entry outlives its reason. Reasons cite the text or the reference
implementation of the ONNX standard.
"""
import dataclasses
from typing import Callable

import numpy as np
from onnx import helper

from graph import Graph


@dataclasses.dataclass
class Known:
    name: str
    reason: str
    ops: tuple
    matches: Callable  # (node, operands by position, attributes, outcome) -> bool
    example: Callable  # () -> Graph


def one(op, arrays, opset=22, outputs=1, **attributes):
    """A graph of one node over these inputs."""
    g = Graph(np.random.default_rng(0), opset)
    leaves = [None if a is None else g.leaf(np.asarray(a), False) for a in arrays]
    g.add(op, leaves, outputs=outputs, **attributes)
    return g


def floats(*shape):
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def next_to_a_half():
    """255 * 255 steps of this scale are 2.5000001, which is 2.5 in float."""
    byte, scale = np.uint8([[255]]), np.float32(3.8446753e-05)
    zero, unit = np.uint8(0), np.float32(1)
    return one("QLinearMatMul", [byte, scale, zero, byte, unit, zero, unit, zero], opset=21)


def ones(*shape):
    return np.ones(shape, np.float32)


def wide_but_close(node, operands, attributes, outcome):
    return operands[0].dtype == np.float64 and outcome.kind.endswith("value") and \
        outcome.distance < 1e-5


def has_nan(node, operands, attributes, outcome):
    return any(o is not None and o.dtype.kind == "f" and np.isnan(o).any() for o in operands)


def is_empty(node, operands, attributes, outcome):
    return operands[0].size == 0


def strides_over(node, operands, attributes, outcome):
    """Padded to the same size, with steps that are longer than the window."""
    kernel = attributes.get("kernel_shape", [])
    strides = attributes.get("strides", [1] * len(kernel))
    dilations = attributes.get("dilations", [1] * len(kernel))
    same = attributes.get("auto_pad", b"").startswith(b"SAME")
    return same and any((k - 1) * d + 1 < s for k, d, s in zip(kernel, dilations, strides))


def fractional_length(node, operands, attributes, outcome):
    if len(operands) != 3 or operands[2] is None:
        return False
    lengths = np.array(operands[0].shape) * operands[2]
    mode = attributes.get("coordinate_transformation_mode")
    return mode in (b"align_corners", b"half_pixel_symmetric") and (lengths % 1 != 0).any()


def beyond_border(node, operands, attributes, outcome):
    return attributes.get("padding_mode") == b"border" and \
        attributes.get("mode") in (b"cubic", b"bicubic") and (np.abs(operands[1]) > 0.5).any()


REDUCTIONS = ("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd", "ReduceL1",
              "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare")

KNOWN = [
    Known("non-zero-of-scalar", "the text: 'for scalar input, NonZero produces output shape (0, N) "
          "instead of (1, N)'", ("NonZero",),
          lambda node, operands, attributes, outcome: operands[0].ndim == 0,
          lambda: one("NonZero", [np.float32(1)])),
    Known("double-computed-in-float", "kernels for double whose attributes or constants are float, "
          "with products rounded to float",
          ("Gelu", "Shrink", "HardSwish", "HardSigmoid", "Selu", "Elu", "Celu", "ThresholdedRelu",
           "LeakyRelu", "Mish"), wide_but_close,
          lambda: one("Shrink", [floats(4).astype(np.float64) * 3], lambd=0.75, bias=0.1)),
    Known("reduce-nothing", "a tensor without elements is returned as it is, with its axes",
          REDUCTIONS + ("ArgMax", "ArgMin"), is_empty,
          lambda: one("ReduceProd", [floats(0, 2, 1), np.array([-3])], keepdims=0)),
    Known("gemm-nothing", "beta is ignored where the inner dimension is 0", ("Gemm",), is_empty,
          lambda: one("Gemm", [floats(2, 0), floats(0, 2), floats(2, 2)], beta=0.25)),
    Known("nan-in-extremes", "comparisons drop NaN or keep it by position; the reference "
          "implementation is numpy's, which lets it through",
          ("ReduceMax", "ReduceMin", "GlobalMaxPool", "MaxPool", "ScatterElements", "ScatterND",
           "Max", "Min"), has_nan, lambda: one("ReduceMin", [np.array([-1, 3, 1, 2, np.nan])])),
    Known("quantise-zeros", "the text: y_scale = (max - min) / 255, which is 0; onnxruntime says 1",
          ("DynamicQuantizeLinear",),
          lambda node, operands, attributes, outcome: not operands[0].any(),
          lambda: one("DynamicQuantizeLinear", [np.zeros(3, np.float32)], outputs=3)),
    Known("softplus-overflows", "in float16 log(1 + exp(x)) is computed as it stands",
          ("Softplus",), lambda node, operands, attributes, outcome:
          operands[0].dtype == np.float16 and (operands[0] > 80).any(),
          lambda: one("Softplus", [np.float16([100])], opset=18)),
    Known("scales-in-float", "multiplies by a scale in float, where the sum is exact and the true "
          "product lies next to a half; here the product is binary64 and rounded once",
          ("QLinearConv", "QLinearMatMul"),
          lambda node, operands, attributes, outcome: outcome.kind.endswith("value") and
          outcome.distance <= 1, next_to_a_half),
    Known("absent-bound", "the body of the function: an absent bound bounds nothing; onnxruntime "
          "makes infinity the largest number", ("Clip",),
          lambda node, operands, attributes, outcome: np.isinf(operands[0]).any(),
          lambda: one("Clip", [np.float32([-np.inf, 1, np.inf]), np.float32(0)])),
    Known("fractional-length", "the reference implementation and its tests use scale times length, "
          "not rounded, as the new length; onnxruntime rounds it", ("Resize",), fractional_length,
          lambda: one("Resize", [floats(1, 1, 5, 5), None, np.float32([1, 1, 0.5, 0.5])],
                      mode="linear", coordinate_transformation_mode="align_corners")),
    Known("same-with-long-steps", "the text: output = input * stride (transposed), padding is "
          "never negative; onnxruntime crops instead",
          ("ConvTranspose", "MaxPool", "LpPool", "AveragePool"), strides_over,
          lambda: one("ConvTranspose", [floats(1, 1, 3), floats(1, 1, 1)], auto_pad="SAME_UPPER",
                      strides=[3], kernel_shape=[1])),
    Known("clip-of-cell", "the text: clip 'is applied to the input of activations'; onnxruntime "
          "leaves out the cell state in front of the last one", ("LSTM",),
          lambda node, operands, attributes, outcome: "clip" in attributes,
          lambda: one("LSTM", [ones(3, 1, 1), ones(1, 4, 1), ones(1, 4, 1)], outputs=3,
                      hidden_size=1, clip=0.5)),
    Known("cubic-beyond-border", "the reference implementation moves a coordinate onto the border "
          "before it interpolates; onnxruntime moves the samples only", ("GridSample",),
          beyond_border,
          lambda: one("GridSample", [floats(1, 1, 4, 4), np.float32([[[[-1.3, 0.4]]]])], opset=20,
                      mode="cubic", padding_mode="border", align_corners=1)),
]


def explains(entry, node, arrays, outcome):
    operands = [arrays.get(name) for name in node.input]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return node.op_type in entry.ops and entry.matches(node, operands, attributes, outcome)


def with_bodies(node):
    yield node
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from with_bodies(inner)


def find(g, outcome):
    """The entry that explains a shrunk graph, or None."""
    nodes = g.nodes if outcome.kind.endswith("error") or len(g.nodes) == 1 else []
    return next((entry for node in nodes for inner in with_bodies(node) for entry in KNOWN
                 if explains(entry, inner, g.arrays, outcome)), None)
