# SPDX-License-Identifier: Apache-2.0
"""Integers: chains of QDQ, operators of integers, weights of four bits."""
import numpy as np
from onnx import TensorProto

from cpu_ops import act, step, tail


def quantize(g, x, signed=False):
    scale = float(g.choice([0.02, 0.05, 0.011]))
    zero = g.choice([0, 3, -7]) if signed else g.choice([0, 128, 100])
    dtype = np.int8 if signed else np.uint8
    q = g.node("QuantizeLinear", [x, g.constant(np.float32(scale).reshape(())),
                                  g.constant(np.array(zero, dtype))], [x.shape],
               [np.dtype(dtype).name])
    if q is not None:
        q.step, q.zero, q.quantised = scale, zero, q.quantised + 1
        g.step = max(g.step, scale)
    return q


def dequantize(g, q):
    return g.node("DequantizeLinear", [q, g.constant(np.float32(q.step).reshape(())),
                                       g.constant(np.array(q.zero, q.kind))], [q.shape])


def integer_weights(g, axis, *shape):
    w = g.constant(g.rng.integers(-127, 128, shape).astype(np.int8))
    scale = 0.01 / max(1, int(np.prod(shape[1:]))) ** 0.5
    each = g.chance(0.6)
    scales = (np.abs(g.numbers((shape[axis],))) + 0.5) * scale if each else \
        np.float32(scale).reshape(())
    inputs = [w, g.constant(scales.astype(np.float32))]
    if g.chance(0.5):
        inputs.append(g.constant(np.zeros(scales.shape, np.int8)))
    return g.node("DequantizeLinear", inputs, [shape], axis=axis if each else 1)


@step(5)
def quantised_chain(g):
    flat = g.chance(0.3)
    x = g.matrix(2, 3) if flat else g.image()
    q = quantize(g, x, g.chance(0.4))
    x = q and dequantize(g, q)
    before = None
    for _ in range(g.int(1, 4)):
        if x is None:
            return
        form = g.choice(["product", "product", "pool", "add", "move", "act"])
        y = None
        if form == "product" and flat:
            n = x.shape[-1] if g.chance(0.5) else g.choice([1, 3, 16, 17])
            y = g.node("MatMul", [x, integer_weights(g, 1, x.shape[-1], n)], [(*x.shape[:-1], n)])
            if y and g.chance(0.5):
                y = g.node("Add", [y, g.constant(g.numbers((n,), 0.1))], [y.shape])
        elif form == "product":
            c, n = x.shape[1], x.shape[1] if g.chance(0.5) else g.channels()
            group = c if c > 1 and g.chance(0.25) else 1
            n = c if group > 1 else n
            k = g.choice([1, 3])
            inputs = [x, integer_weights(g, 0, n, c // group, k, k)]
            if g.chance(0.5):
                inputs.append(g.constant(g.numbers((n,), 0.1)))
            y = g.node("Conv", inputs, [(x.shape[0], n, *x.shape[2:])], group=group,
                       kernel_shape=[k, k], pads=[k // 2] * 4)
        elif form == "pool" and not flat:
            y = g.node("MaxPool", [x], [x.shape], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        elif form == "move" and not flat:
            y = g.node("Transpose", [x], [[x.shape[p] for p in (0, 1, 3, 2)]], perm=[0, 1, 3, 2])
            y = y and g.node("Reshape", [y, g.ints(*([0] + list(y.shape[1:])))], [y.shape])
        elif form == "add" and before is not None and before.shape == x.shape:
            y = g.node("Add", [x, before] if g.chance(0.5) else [before, x], [x.shape])
        else:
            y = act(g, x)
        if y and g.chance(0.5):
            y = g.node("Relu", [y], [y.shape]) if g.chance(0.5) else act(g, y)
        if y is None:
            return
        before = x
        if g.chance(0.8):
            q = quantize(g, y, g.chance(0.4))
            y = q and dequantize(g, q)
        x = y


@step(1)
def four_bits(g):
    x = g.matrix(2, 3)
    k, n = x.shape[-1], g.choice([1, 3, 16, 40])
    block = g.choice([b for b in (1, 4, 8, 16, k) if k % b == 0])
    signed = g.chance(0.5)
    low, high = (-8, 8) if signed else (0, 16)
    proto = TensorProto.INT4 if signed else TensorProto.UINT4
    inputs = [g.constant(g.rng.integers(low, high, (k, n)), proto),
              g.constant((np.abs(g.numbers((k // block, n))) * 0.05 + 0.01).astype(np.float32))]
    if g.chance(0.5):
        inputs.append(g.constant(g.rng.integers(low, high, (k // block, n)), proto))
    w = g.node("DequantizeLinear", inputs, [(k, n)], axis=0, block_size=block)
    tail(g, x, g.node("MatMul", [x, w], [(*x.shape[:-1], n)]))


def scale_of(g, value):
    return g.constant(np.float32(value).reshape(()))


def after_integers(g, q, scale, zero, roundings):
    """What an operator of integers made, now and then as floats for what follows."""
    if q is not None:
        q.step, q.zero, q.quantised = scale, zero, roundings + 1
        g.step = max(g.step, scale)
        if g.chance(0.7):
            dequantize(g, q)


@step(2)
def qlinear(g):
    """QLinearConv and QLinearMatMul, each scale a constant."""
    convolves = g.chance(0.6)
    x = g.image() if convolves else g.matrix(2, 3)
    q = quantize(g, x, g.chance(0.4))
    if q is None:
        return
    out_type = np.dtype(q.kind)
    scale = float(g.choice([0.02, 0.05]))
    zero = g.choice([0, 5, -7]) if out_type == np.int8 else g.choice([0, 128, 100])
    inputs = [q, scale_of(g, q.step), g.constant(np.array(q.zero, out_type))]
    out = [scale_of(g, scale), g.constant(np.array(zero, out_type))]
    n = g.channels() if convolves else g.choice([1, 3, 16, 17])
    k = g.choice([1, 3])
    shape = (n, x.shape[1], k, k) if convolves else (x.shape[-1], n)
    fan = max(1, int(np.prod(shape[1:] if convolves else shape[:1])))
    each = g.chance(0.5)
    scales = np.full((n,) if each else (), 0.01 * fan ** -0.5, np.float32)
    if each:
        scales *= g.rng.uniform(0.5, 1.5, n).astype(np.float32)
    inputs += [g.constant(g.rng.integers(-127, 128, shape).astype(np.int8)), g.constant(scales),
               g.constant(np.zeros(scales.shape, np.int8)), *out]
    if convolves:
        if g.chance(0.5):
            inputs.append(g.constant(g.rng.integers(-3000, 3000, n).astype(np.int32)))
        y = g.node("QLinearConv", inputs, [(x.shape[0], n, *x.shape[2:])], [q.kind],
                   kernel_shape=[k, k], pads=[k // 2] * 4)
    else:
        y = g.node("QLinearMatMul", inputs, [(*x.shape[:-1], n)], [q.kind])
    after_integers(g, y, scale, zero, q.quantised)
