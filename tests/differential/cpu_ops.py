# SPDX-License-Identifier: Apache-2.0
"""What is drawn: one function an op or pattern, each adding nodes to a graph."""
import numpy as np

from cpu_graph import BATCH

STEPS = []


def step(weight=1):
    def keep(function):
        STEPS.extend([function] * weight)
        return function
    return keep


ACTS = [("Relu", {}), ("Sigmoid", {}), ("Tanh", {}), ("Clip", {}), ("LeakyRelu", {"alpha": 0.2}),
        ("LeakyRelu", {"alpha": -0.5}), ("Elu", {"alpha": 0.7}), ("HardSwish", {}), ("Abs", {}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}), ("Neg", {}), ("Softplus", {}), ("Erf", {}),
        ("Gelu", {}), ("Gelu", {"approximate": "tanh"}), ("Exp", {})]


def act(g, x):
    name, attributes = g.choice(ACTS)
    inputs = [x]
    if name == "Clip":
        low = g.choice([-0.5, 0.0, 0.25])
        inputs += [g.constant(np.float32(low).reshape(())),
                   g.constant(np.float32(low + g.choice([0.5, 6.0])).reshape(()))]
    if name == "Exp":
        x = g.node("Tanh", [x], [x.shape])
        inputs = [x]
    return x and g.node(name, inputs, [x.shape], **attributes)


@step(4)
def acts(g):
    x = g.any()
    for _ in range(g.int(1, 3)):
        x = act(g, x)


def conv_window(g, spatial):
    kernel = [g.choice([1, 1, 2, 3, 3, 5]) if g.chance(0.5) else 3 for _ in spatial]
    strides = [g.choice([1, 1, 1, 2]) for _ in spatial]
    dilations = [g.choice([1, 1, 1, 2]) for _ in spatial]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    mode = g.choice(["pads", "pads", "same", "none"])
    if mode == "same":
        return kernel, strides, dilations, {"auto_pad": g.choice(["SAME_UPPER", "SAME_LOWER"])}, \
            [-(-s // t) for s, t in zip(spatial, strides)]
    pads = [[0, 0] if mode == "none" else
            ([r // 2, r // 2] if g.chance(0.6) else [g.int(0, 2), g.int(0, 2)]) for r in reach]
    out = [(s + b + a - r) // t + 1 for s, (b, a), r, t in zip(spatial, pads, reach, strides)]
    return kernel, strides, dilations, {"pads": [b for b, _ in pads] + [a for _, a in pads]}, out


@step(10)
def conv(g):
    x = g.image(g.choice([4, 4, 4, 4, 3, 5]))
    channels = x.shape[1]
    kernel, strides, dilations, pads, out = conv_window(g, x.shape[2:])
    if min(out) < 1:
        return
    divisors = [d for d in range(2, channels + 1) if channels % d == 0]
    group = 1 if not divisors or g.chance(0.65) else g.choice([channels, g.choice(divisors)])
    if group > 1:
        outputs = group * g.int(1, 2 if group > 4 else 8)
    else:
        outputs = channels if g.chance(0.5) else g.channels()
    inputs = [x, g.weights(outputs, channels // group, *kernel)]
    if g.chance(0.5):
        inputs.append(g.constant(g.numbers((outputs,))))
    y = g.node("Conv", inputs, [(x.shape[0], outputs, *out)], group=group, kernel_shape=kernel,
               strides=strides, dilations=dilations, **pads)
    tail(g, x, y)


def tail(g, x, y):
    """What often follows a product: functions and sums, in any order."""
    for _ in range(g.int(0, 3)):
        if y is None:
            return
        if g.chance(0.5):
            y = act(g, y)
        else:
            other = g.pick(shape=y.shape, fits=lambda v, y=y: v.name != y.name, reuse=0.9)
            if x.shape == y.shape and g.chance(0.3):
                other = x
            y = g.node("Add", [y, other] if g.chance(0.5) else [other, y], [y.shape])


@step(1)
def conv_transpose(g):
    x = g.image(g.choice([4, 4, 3]))
    spatial = x.shape[2:]
    kernel = [g.int(1, 3) for _ in spatial]
    strides = [g.int(1, 2) for _ in spatial]
    extra = [g.int(0, s - 1) for s in strides]
    before, after = [g.int(0, (k - 1) // 2) for k in kernel], [g.int(0, (k - 1) // 2) for k in kernel]
    out = [(s - 1) * t + k - b - a + e for s, t, k, b, a, e in
           zip(spatial, strides, kernel, before, after, extra)]
    group = x.shape[1] if x.shape[1] in (3, 8) and g.chance(0.3) else 1
    outputs = g.choice([1, 3, 16, 17]) if group == 1 else 1
    if min(out) > 0:
        y = g.node("ConvTranspose", [x, g.weights(x.shape[1], outputs, *kernel)],
                   [(x.shape[0], outputs * group, *out)], group=group, kernel_shape=kernel,
                   strides=strides, pads=before + after, output_padding=extra)
        tail(g, x, y)


@step(2)
def batch_norm(g):
    x = g.image(g.choice([4, 4, 3]))
    c = x.shape[1]
    y = g.node("BatchNormalization", [x, *(g.constant(g.numbers((c,))) for _ in range(3)),
                                      g.constant(np.abs(g.numbers((c,))) + 0.5)], [x.shape])
    if y and g.chance(0.6):
        act(g, y)


@step(2)
def pool(g):
    x = g.image(g.choice([4, 4, 4, 3, 5]))
    kernel = [g.int(1, min(3, s)) for s in x.shape[2:]]
    strides = [g.int(1, 2) for _ in kernel]
    pads = [[g.int(0, k // 2), g.int(0, k // 2)] for k in kernel]
    up = g.chance(0.4)
    out = []
    for s, (b, a), k, t in zip(x.shape[2:], pads, kernel, strides):
        size = (s + b + a - k + (t - 1 if up else 0)) // t + 1
        out.append(size - 1 if up and (size - 1) * t >= s + b else size)
    average = g.chance(0.5)
    more = {"count_include_pad": int(not up and g.chance(0.5))} if average else {}
    g.node("AveragePool" if average else "MaxPool", [x], [(*x.shape[:2], *out)], kernel_shape=kernel,
           strides=strides, pads=[b for b, _ in pads] + [a for _, a in pads], ceil_mode=int(up),
           **more)


@step(1)
def over_space(g):
    x = g.image()
    keep = int(g.chance(0.5))
    if g.chance(0.5):
        g.node("GlobalAveragePool", [x], [(*x.shape[:2], 1, 1)])
    else:
        g.node("ReduceMean", [x, g.ints(2, 3)], [(*x.shape[:2], 1, 1)[:4 if keep else 2]],
               keepdims=keep)


@step(1)
def resize(g):
    x = g.image()
    linear = g.chance(0.5)
    g.node("Resize", [x, None, g.constant(np.array([1, 1, 2, 2], np.float32))],
           [(*x.shape[:2], x.shape[2] * 2, x.shape[3] * 2)], mode="linear" if linear else "nearest",
           coordinate_transformation_mode="half_pixel" if linear else "asymmetric",
           nearest_mode="floor")


@step(4)
def concat(g):
    x = g.any()
    axis = g.int(0, x.rank - 1) if g.chance(0.3) else 1
    parts = [x]
    for _ in range(g.int(1, 3)):
        like = [v for v in g.values if v.rank == x.rank and v.kind == "float32" and
                all(a == b for i, (a, b) in enumerate(zip(v.shape, x.shape)) if i != axis)]
        part = g.choice(like)
        if g.chance(0.2):
            shape = list(x.shape)
            shape[axis] = g.choice([1, 8, 16, 5])
            part = g.input(shape)
        parts.append(part)
    if axis == 0 and any(p.shape[0] == BATCH for p in parts):
        return  # a batch twice as large is no batch
    shape = list(x.shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    g.node("Concat", parts, [shape], axis=axis if g.chance(0.5) else axis - x.rank)


@step(5)
def binary(g):
    x = g.any()
    form = g.choice(["same", "same", "scalar", "channel", "column", "plane", "trailing", "longer"])
    shape = {"same": x.shape, "scalar": g.choice([(), (1,)]), "channel": x.shape[1:2] + (1,) *
             (x.rank - 2), "column": (x.shape[0], x.shape[1]) + (1,) * (x.rank - 2),
             "plane": (x.shape[0], 1) + x.shape[2:], "trailing": x.shape[-1:],
             "longer": (1,) + x.shape}[form]
    known = g.chance(0.4) and BATCH not in shape[:1]
    y = g.constant(g.numbers(shape)) if known else g.pick(shape=shape)
    op = g.choice(["Add", "Add", "Sub", "Mul", "Mul", "Div", "Max", "Min"])
    if op == "Div":
        y = g.constant(np.abs(g.numbers(y.shape if BATCH not in y.shape[:1] else ())) + 0.5)
    pair = [x, y] if g.chance(0.5) or op == "Div" else [y, x]
    g.node(op, pair, [np.broadcast_shapes(x.shape, y.shape)])


@step(1)
def variadic(g):
    x = g.any()
    parts = [x] + [g.pick(shape=x.shape) for _ in range(g.int(0, 2))]
    g.node(g.choice(["Sum", "Max", "Min"]), parts, [x.shape])


@step(1)
def silu(g):
    x = g.any()
    s = g.node("Sigmoid", [x], [x.shape])
    g.node("Mul", [x, s] if g.chance(0.5) else [s, x], [x.shape])


@step(1)
def gelu(g):
    x = g.any()
    scaled = g.node("Div", [x, g.constant(np.float32(2 ** 0.5).reshape(()))], [x.shape])
    plus = g.node("Add", [g.node("Erf", [scaled], [x.shape]),
                          g.constant(np.float32(1).reshape(()))], [x.shape])
    half = g.constant(np.float32(0.5).reshape(()))
    if g.chance(0.5):
        g.node("Mul", [g.node("Mul", [x, plus], [x.shape]), half], [x.shape])
    else:
        g.node("Mul", [g.node("Mul", [x, half], [x.shape]), plus], [x.shape])


@step(4)
def transpose(g):
    x = g.any()
    perm = list(g.rng.permutation(x.rank))
    if BATCH in x.shape[:1]:
        perm = [0] + [p for p in perm if p != 0]
    y = g.node("Transpose", [x], [[x.shape[p] for p in perm]], perm=perm)
    if y and g.chance(0.4):
        act(g, y)


@step(4)
def reshape(g):
    x = g.any()
    rest = x.shape[1:]
    size = int(np.prod(rest))
    options = [(size,), (1, size), (*rest, 1), (1, *rest)]
    for f in (2, 3, 4, 8, 16):
        if size % f == 0:
            options.append((f, size // f))
    if len(rest) == 3:
        options += [(rest[0], rest[1] * rest[2]), (rest[0] * rest[1], rest[2])]
    to = g.choice(options)
    if len(to) <= 5:
        y = g.node("Reshape", [x, g.ints(0, *to)], [(x.shape[0], *to)])
        if y and g.chance(0.4):
            act(g, y)


@step(1)
def squeeze(g):
    x = g.any()
    if x.rank < 5:
        axis = g.int(1, x.rank)
        y = g.node("Unsqueeze", [x, g.ints(axis)], [(*x.shape[:axis], 1, *x.shape[axis:])])
        if y and g.chance(0.3):
            g.node("Squeeze", [y, g.ints(axis)], [x.shape])
    if g.chance(0.3):
        g.node("Flatten", [x], [(x.shape[0], int(np.prod(x.shape[1:])))])


@step(3)
def slice_of(g):
    x = g.any()
    axis = g.int(1, x.rank - 1)
    size = x.shape[axis]
    if size < 2:
        return
    begin = g.choice([0, g.int(0, size - 1), 8 if size > 8 else 0])
    end = g.int(begin + 1, size)
    by = g.choice([1, 1, 1, 2])
    y = g.node("Slice", [x, g.ints(begin), g.ints(end if g.chance(0.5) else end + 99 * (end == size)),
                         g.ints(axis), g.ints(by)],
               [(*x.shape[:axis], -(-(end - begin) // by), *x.shape[axis + 1:])])
    if y and g.chance(0.5):
        act(g, y)


@step(2)
def split(g):
    x = g.any()
    axis = g.int(1, x.rank - 1)
    if x.shape[axis] < 2:
        return
    first = g.int(1, x.shape[axis] - 1)
    sizes = [first, x.shape[axis] - first]
    shapes = [(*x.shape[:axis], s, *x.shape[axis + 1:]) for s in sizes]
    parts = g.node("Split", [x, g.ints(*sizes)], shapes, ["float32"] * 2, axis=axis)
    if parts and g.chance(0.5):
        g.node("Mul", [parts[1], g.node("Sigmoid", [parts[1]], [shapes[1]])], [shapes[1]])


@step(1)
def expand(g):
    x = g.any()
    if x.rank < 5:
        to = (x.shape[0], g.int(2, 3), *x.shape[1:])
        y = g.node("Unsqueeze", [x, g.ints(1)], [(x.shape[0], 1, *x.shape[1:])])
        g.node("Expand", [y, g.ints(1, to[1], *(1 for _ in x.shape[1:]))], [to])


@step(1)
def gather(g):
    x = g.any()
    axis = g.int(1, x.rank - 1)
    size = x.shape[axis]
    indices = g.rng.integers(-size, size, g.choice([(), (1,), (3,), (2, 2)])).astype(
        g.choice([np.int64, np.int32]))
    where = g.constant(indices) if g.chance(0.5) or indices.shape[:1] == (BATCH,) else \
        g.input(indices.shape, indices)
    if x.rank - 1 + indices.ndim <= 5:
        g.node("Gather", [x, where], [(*x.shape[:axis], *indices.shape, *x.shape[axis + 1:])],
               axis=axis)


@step(2)
def reduce(g):
    x = g.any()
    count = g.int(1, x.rank - 1)
    keep = int(g.chance(0.5))
    shape = x.shape[:x.rank - count] + ((1,) * count if keep else ())
    op = g.choice(["ReduceMean", "ReduceSum", "ReduceMax"])
    g.node(op, [x, g.ints(*range(x.rank - count, x.rank))], [shape], keepdims=keep)
