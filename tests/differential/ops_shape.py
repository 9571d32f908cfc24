# SPDX-License-Identifier: Apache-2.0
"""Ops that move, select and measure."""
import numpy as np

from graph import FLOATS, INTS
from ops import generator

ANY = FLOATS + INTS + ["bool"]


def axis_of(g, x):
    return g.int(-x.rank, x.rank - 1)


@generator("Transpose")
def transpose(g, op):
    x = g.pick(ANY)
    g.add(op, [x], **({"perm": [int(i) for i in g.rng.permutation(x.rank)]}
                      if x.rank and g.chance(0.8) else {}))


@generator("Reshape")
def reshape(g, op):
    x = g.pick(ANY)
    flat = list(x.shape)
    while len(flat) > 1 and g.chance(0.5):
        i = g.int(0, len(flat) - 2)
        flat[i:i + 2] = [flat[i] * flat[i + 1]]
    if g.chance(0.4):
        flat.insert(g.int(0, len(flat)), 1)
    if flat and x.array.size and g.chance(0.4):
        flat[g.int(0, len(flat) - 1)] = -1
    if flat and len(flat) <= x.rank and flat[0] == x.shape[0] and g.chance(0.3):
        flat[0] = 0
    allow = {"allowzero": 1} if 0 in x.shape and 0 in flat and -1 not in flat else {}
    g.add(op, [x, g.const(np.array(flat, np.int64))], **allow)


@generator("Flatten")
def flatten(g, op):
    x = g.pick(ANY)
    g.add(op, [x], axis=g.int(-x.rank, x.rank))


@generator("Squeeze")
def squeeze(g, op):
    x = g.pick(ANY, shape=[1 if g.chance(0.5) else g.int(1, 4) for _ in range(g.int(1, 4))])
    ones = [g.choice([i, i - x.rank]) for i, d in enumerate(x.shape) if d == 1 and g.chance(0.7)]
    g.add(op, [x, g.const(np.array(ones, np.int64))] if ones else [x])


@generator("Unsqueeze")
def unsqueeze(g, op):
    x = g.pick(ANY)
    rank = x.rank + g.int(1, 2)
    axes = [int(a) for a in g.rng.permutation(rank)[:rank - x.rank]]
    g.add(op, [x, g.const([g.choice([a, a - rank]) for a in axes])])


@generator("Concat")
def concat(g, op):
    a = g.pick(ANY, low_rank=1)
    axis = g.int(0, a.rank - 1)
    parts = [a]
    for _ in range(g.int(0, 2)):
        shape = list(a.shape)
        shape[axis] = g.int(0 if g.chance(0.1) else 1, 3)
        parts.append(g.pick([a.dtype], shape=shape))
    g.add(op, parts, axis=g.choice([axis, axis - a.rank]))


@generator("Split")
def split(g, op):
    x = g.pick(ANY, low_rank=1)
    axis = g.int(0, x.rank - 1)
    size = x.shape[axis]
    if size > 1 and g.chance(0.7):
        cut = g.int(0, size)
        g.add(op, [x, g.const([cut, size - cut])], outputs=2, axis=axis)
    elif g.opset >= 18 and size > 1:
        g.add(op, [x], outputs=2, axis=axis, num_outputs=2)
    else:
        g.add(op, [x], outputs=1 + (size % 2 == 0 and size > 0), axis=axis,
              **({"num_outputs": 1 + (size % 2 == 0 and size > 0)} if g.opset >= 18 else {}))


@generator("Slice")
def slice_(g, op):
    x = g.pick(ANY, low_rank=1)
    axes = [a for a in range(x.rank) if g.chance(0.6)] or [0]
    starts = [g.choice([g.int(-7, 7), g.int(0, 2), -(1 << 40)]) for _ in axes]
    ends = [g.choice([g.int(-7, 7), g.int(2, 6), 1 << 40, -(1 << 40)]) for _ in axes]
    steps = [g.choice([1, 1, 2, -1, -2, 3]) for _ in axes]
    operands = [x, g.const(starts), g.const(ends)]
    if axes != list(range(x.rank)) or g.chance(0.7):
        operands.append(g.const([g.choice([a, a - x.rank]) for a in axes]))
        operands += [g.const(steps)] if g.chance(0.7) else []
    g.add(op, operands)


@generator("Gather")
def gather(g, op):
    x = g.pick(ANY, low_rank=1)
    axis = g.int(0, x.rank - 1)
    if x.shape[axis] == 0:
        return
    bound = x.shape[axis]
    index = g.numbers(g.choice(["int64", "int32"]), g.shape(g.int(0, 2)), -bound, bound - 1)
    g.add(op, [x, g.leaf(index)], axis=g.choice([axis, axis - x.rank]))


def element_index(g, x, axis, shrink=True):
    shape = [g.int(1, max(d, 1)) if shrink and g.chance(0.5) else d for d in x.shape]
    bound = x.shape[axis]
    return g.leaf(g.numbers(g.choice(["int64", "int32"]), shape, -bound, max(bound - 1, -bound)))


@generator("GatherElements")
def gather_elements(g, op):
    x = g.pick(ANY, low_rank=1)
    if 0 in x.shape:
        return
    axis = g.int(0, x.rank - 1)
    g.add(op, [x, element_index(g, x, axis)], axis=g.choice([axis, axis - x.rank]))


@generator("ScatterElements")
def scatter_elements(g, op):
    x = g.pick(FLOATS + INTS, low_rank=1)
    if 0 in x.shape:
        return
    axis = g.int(0, x.rank - 1)
    kinds = ["none"] + (["add", "mul"] if g.opset >= 16 else []) + (
        ["max", "min"] if g.opset >= 18 else [])
    kind = g.choice(kinds)
    if kind == "none":  # each place once, since their order is not defined
        shape = list(x.shape)
        shape[axis] = g.int(1, x.shape[axis])
        order = g.rng.permuted(np.broadcast_to(
            np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.rank)]),
            x.shape), axis=axis)
        index = g.leaf(np.take(order, range(shape[axis]), axis=axis).astype(np.int64))
    else:
        index = element_index(g, x, axis)
    updates = g.pick([x.dtype], shape=index.shape)
    g.add(op, [x, index, updates], axis=axis, error=4.0 if kind in ("add", "mul") else 0.0,
          product=kind == "mul", **({"reduction": kind} if g.opset >= 16 else {}))


def nd_index(g, x, unique):
    depth = g.int(1, x.rank)
    count = int(np.prod(x.shape[:depth]))
    n = g.int(1, min(6, count))
    flat = g.rng.permutation(count)[:n] if unique else g.rng.integers(0, count, n)
    index = np.stack(np.unravel_index(flat, x.shape[:depth]), -1).astype(np.int64)
    if g.chance(0.3):
        index = index - np.where(g.rng.random(index.shape) < 0.5, np.array(x.shape[:depth]), 0)
    return g.leaf(index), depth, n


@generator("GatherND")
def gather_nd(g, op):
    x = g.pick(ANY, low_rank=1)
    if 0 in x.shape:
        return
    if x.rank > 1 and g.chance(0.3):
        depth = g.int(1, x.rank - 1)
        index = g.numbers("int64", (x.shape[0], g.int(1, 3), depth), 0, min(x.shape[1:]) - 1)
        g.add(op, [x, g.leaf(index)], batch_dims=1)
    else:
        g.add(op, [x, nd_index(g, x, False)[0]])


@generator("ScatterND")
def scatter_nd(g, op):
    x = g.pick(FLOATS + INTS, low_rank=1)
    if 0 in x.shape:
        return
    kind = g.choice(["none"] + (["add", "mul"] if g.opset >= 16 else []) + (
        ["max", "min"] if g.opset >= 18 else []))
    index, depth, n = nd_index(g, x, kind == "none")
    g.add(op, [x, index, g.pick([x.dtype], shape=(n,) + x.shape[depth:])],
          error=4.0 if kind in ("add", "mul") else 0.0, product=kind == "mul",
          **({"reduction": kind} if g.opset >= 16 else {}))


@generator("Expand")
def expand(g, op):
    x = g.pick(ANY, shape=[1 if g.chance(0.5) else g.int(1, 4) for _ in range(g.int(0, 3))])
    shape = [g.int(1, 4) if d == 1 and g.chance(0.7) else d for d in x.shape]
    shape = [1 if g.chance(0.15) else d for d in shape]
    g.add(op, [x, g.const(np.array([2] * g.int(0, 1) + shape, np.int64))])


@generator("Tile")
def tile(g, op):
    x = g.pick(ANY, low_rank=1)
    g.add(op, [x, g.const([g.int(0 if g.chance(0.1) else 1, 3) for _ in range(x.rank)])])


@generator("Pad")
def pad(g, op):
    x = g.pick(FLOATS + ["int32", "int64", "int8", "uint8"], low_rank=1)
    modes = ["constant", "reflect", "edge"] + (["wrap"] if g.opset >= 19 else [])
    mode = g.choice(modes)
    room = [max(d - 1, 0) if mode == "reflect" else 2 for d in x.shape] * 2
    low = 0 if mode != "constant" or g.chance(0.7) else -1
    amounts = [g.int(low, min(2, r)) if r else 0 for r in room]
    operands = [x, g.const(amounts)]
    if mode == "constant" and g.chance(0.6):
        operands.append(g.leaf(np.asarray(g.int(0, 5), x.dtype)))
    g.add(op, operands, mode=mode)


@generator("DepthToSpace SpaceToDepth")
def depth_space(g, op):
    n, c, h, w = g.int(1, 2), g.int(1, 3), g.int(1, 3), g.int(1, 3)
    if op == "DepthToSpace":
        g.add(op, [g.pick(["float32", "float64", "uint8"], shape=(n, c * 4, h, w))], blocksize=2,
              mode=g.choice(["DCR", "CRD"]))
    else:
        g.add(op, [g.pick(["float32", "float64"], shape=(n, c, 2 * h, 2 * w))], blocksize=2)


@generator("Shape")
def shape(g, op):
    x = g.pick(ANY)
    g.add(op, [x], **({"start": g.int(-5, 5), "end": g.int(-5, 5)}
                      if g.opset >= 15 and g.chance(0.5) else {}))


@generator("Size")
def size(g, op):
    g.add(op, [g.pick(ANY)])


@generator("ConstantOfShape")
def constant_of_shape(g, op):
    from onnx import numpy_helper
    value = {"value": numpy_helper.from_array(np.array([g.int(0, 7)], g.choice(ANY)))}
    g.add(op, [g.const(np.array(g.shape(), np.int64))], **(value if g.chance(0.8) else {}))


@generator("Range")
def range_(g, op):
    dtype = g.choice(["int64", "int32", "float32", "float64"])
    start, step = g.int(-5, 5), g.choice([-2, -1, 1, 2, 3])
    limit = start + step * g.int(-1, 6) + g.int(-1, 1)
    g.add(op, [g.leaf(np.asarray(v, dtype)) for v in (start, limit, step)])


@generator("EyeLike")
def eye_like(g, op):
    from onnx import helper
    to = {"dtype": helper.np_dtype_to_tensor_dtype(np.dtype(g.choice(["float32", "int64"])))}
    g.add(op, [g.pick(["float32", "float64", "int32", "int64"], rank=2)], k=g.int(-3, 3),
          **(to if g.chance(0.5) else {}))


@generator("OneHot")
def one_hot(g, op):
    depth = g.int(1, 5)
    index = g.pick(["int64", "int32", "float32"], low=-depth, high=depth - 1, exact=True)
    if index.dtype == "float32":
        index = g.leaf(np.trunc(index.array))
    values = g.leaf(g.numbers(g.choice(["float32", "int64"]), (2,)))
    g.add(op, [index, g.leaf(np.asarray(depth, g.choice(["int64", "float32"]))), values],
          axis=g.int(-index.rank - 1, index.rank))


@generator("Trilu")
def trilu(g, op):
    x = g.pick(["float32", "float64", "int64", "bool"], low_rank=2)
    operands = [x, g.const(g.int(-4, 4))] if g.chance(0.7) else [x]
    g.add(op, operands, upper=g.int(0, 1))


@generator("ReverseSequence")
def reverse_sequence(g, op):
    x = g.pick(["float32", "float64", "int64", "int32", "uint8", "bool"], low_rank=2)
    time = g.int(0, 1)
    if x.shape[time] == 0:
        return
    lengths = g.numbers("int64", (x.shape[1 - time],), 1, x.shape[time])
    g.add(op, [x, g.leaf(lengths)], time_axis=time, batch_axis=1 - time)


@generator("Compress")
def compress(g, op):
    x = g.pick(["float32", "int64", "int32", "uint8", "bool", "float64"], low_rank=1)
    axis = axis_of(g, x) if g.chance(0.7) else None
    length = x.array.size if axis is None else x.shape[axis]
    if length == 0:
        return
    g.add(op, [x, g.leaf(g.numbers("bool", (g.int(1, min(length, 60)),)))],
          **({} if axis is None else {"axis": axis}))


@generator("NonZero")
def non_zero(g, op):
    g.add(op, [g.pick(["float32", "int64", "int32", "uint8", "bool"], exact=True)])


@generator("Unique")
def unique(g, op):
    x = g.pick(["float32", "int64", "int8", "float64"], low_rank=1, exact=True, finite=True)
    axis = {"axis": axis_of(g, x)} if g.chance(0.5) and 0 not in x.shape else {}
    g.add(op, [x], outputs=4, sorted=g.int(0, 1), **axis)


@generator("TopK")
def top_k(g, op):
    x = g.pick(["float32", "float64", "int64", "int32"], low_rank=1, exact=True, finite=True)
    axis = g.int(0, x.rank - 1)
    g.add(op, [x, g.const([g.int(0 if g.chance(0.1) else 1, max(x.shape[axis], 1))])], outputs=2,
          axis=g.choice([axis, axis - x.rank]), largest=g.int(0, 1), sorted=1)


@generator("CenterCropPad")
def center_crop_pad(g, op):
    x = g.pick(["float32", "int32"], low_rank=1, finite=True)
    axes = [a for a in range(x.rank) if g.chance(0.6)] or [0]
    g.add(op, [x, g.const([g.int(1, 6) for _ in axes])], axes=axes)


@generator("Dropout")
def dropout(g, op):
    g.add(op, [g.pick(["float32", "float64"])], outputs=g.int(1, 2))


@generator("Col2Im")
def col2im(g, op):
    n, c, h, w, kh, kw = 1, g.int(1, 2), g.int(2, 4), g.int(2, 4), g.int(1, 2), g.int(1, 2)
    blocks = (h - kh + 1) * (w - kw + 1)
    g.add(op, [g.pick(["float32"], shape=(n, c * kh * kw, blocks)), g.const([h, w]),
               g.const([kh, kw])], error=4.0)
