# SPDX-License-Identifier: Apache-2.0
"""Rows: softmax, normalization, products, attention, LSTM."""
import numpy as np

from cpu_graph import BATCH
from cpu_ops import step, tail


@step(2)
def softmax(g):
    x = g.any()
    if g.chance(0.5):
        x = g.node("Mul", [x, g.constant(np.float32(0.3).reshape(()))], [x.shape])
    if x and g.chance(0.5):
        at = g.int(1, x.rank - 1)
        mask = g.constant(g.numbers((1,) * at + x.shape[at:]))
        x = g.node("Add", [x, mask] if g.chance(0.5) else [mask, x], [x.shape])
    if x:
        g.node(g.choice(["Softmax", "Softmax", "LogSoftmax"]), [x], [x.shape], axis=-1)


@step(2)
def layer_norm(g):
    x = g.matrix(2, 4)
    n = x.shape[-1]
    if g.chance(0.6):
        inputs = [x, g.constant(g.numbers((n,)))]
        inputs += [g.constant(g.numbers((n,)))] if g.chance(0.7) else []
        g.node("LayerNormalization", inputs, [x.shape], axis=-1, epsilon=1e-2)
        return
    square = g.node("Mul", [x, x], [x.shape]) if g.chance(0.3) else \
        g.node("Pow", [x, g.constant(np.float32(2).reshape(()))], [x.shape])
    mean = g.node("ReduceMean", [square, g.ints(-1)], [(*x.shape[:-1], 1)])
    plus = g.node("Add", [mean, g.constant(np.float32(0.1).reshape(()))], [mean.shape])
    over = g.node("Div", [x, g.node("Sqrt", [plus], [mean.shape])], [x.shape])
    g.node("Mul", [over, g.constant(g.numbers((n,)))], [x.shape])


@step(5)
def product(g):
    x = g.any()
    k, n = x.shape[-1], x.shape[-1] if g.chance(0.4) else g.choice([1, 3, 16, 17, 33])
    if x.rank == 2 and g.chance(0.5):
        swap = g.chance(0.5)
        inputs = [x, g.weights(n, k) if swap else g.weights(k, n)]
        inputs += [g.constant(g.numbers((n,)))] if g.chance(0.6) else []
        y = g.node("Gemm", inputs, [(x.shape[0], n)], transB=int(swap))
    else:
        y = g.node("MatMul", [x, g.weights(k, n)], [(*x.shape[:-1], n)])
        if y and g.chance(0.6):
            y = g.node("Add", [y, g.constant(g.numbers((n,)))], [y.shape])
    tail(g, x, y)


@step(2)
def product_of_two(g):
    x = g.matrix(3, 4)
    k, n = x.shape[-1], g.choice([1, 3, 16, 17])
    batch = x.shape[:-2] if g.chance(0.6) else (1,) * (x.rank - 3) + x.shape[-3:-2]
    if batch[:1] == (BATCH,) or BATCH not in batch:
        w = g.pick(shape=(*batch, k, n))
        y = g.node("MatMul", [x, w], [(*x.shape[:-1], n)])
        tail(g, x, y)


@step(3)
def attention(g):
    heads, size, times = g.choice([1, 2, 4]), g.choice([4, 8, 16, 17]), g.choice([1, 1, 2])
    rows, keys = g.choice([1, 3, 9, 20]), g.choice([1, 5, 16, 23])
    q = g.input((BATCH, rows, heads * times * size))
    k = g.input((BATCH, keys, heads * size))
    v = g.input((BATCH, keys, heads * size))

    def split_heads(x, count, length, perm):
        x = g.node("Reshape", [x, g.ints(0, length, count, size)], [(BATCH, length, count, size)])
        return g.node("Transpose", [x], [[x.shape[p] for p in perm]], perm=perm)

    def repeat(x):
        length = x.shape[2]
        x = g.node("Unsqueeze", [x, g.ints(2)], [(BATCH, heads, 1, length, size)])
        x = g.node("Expand", [x, g.ints(1, 1, times, 1, 1)], [(BATCH, heads, times, length, size)])
        return g.node("Reshape", [x, g.ints(0, heads * times, length, size)],
                      [(BATCH, heads * times, length, size)])

    q = split_heads(q, heads * times, rows, [0, 2, 1, 3])
    values = split_heads(v, heads, keys, [0, 2, 1, 3])
    if times > 1:
        ks = repeat(split_heads(k, heads, keys, [0, 2, 1, 3]))
        values = repeat(values)
        ks = g.node("Transpose", [ks], [(BATCH, heads * times, size, keys)], perm=[0, 1, 3, 2])
    elif g.chance(0.5):
        ks = split_heads(k, heads, keys, [0, 2, 1, 3])
        ks = g.node("Transpose", [ks], [(BATCH, heads, size, keys)], perm=[0, 1, 3, 2])
    else:
        ks = split_heads(k, heads, keys, [0, 2, 3, 1])
    heads *= times
    shape = (BATCH, heads, rows, keys)
    scale = g.constant(np.float32(size ** 0.5).reshape(()))
    form = g.choice(["none", "before", "after", "div"])
    if form == "before":
        q = g.node("Div", [q, scale], [q.shape])
    s = g.node("MatMul", [q, ks], [shape])
    if form in ("after", "div"):
        s = g.node("Mul" if form == "after" else "Div", [s, scale], [shape])
    if g.chance(0.7):
        mask = g.choice([(keys,), (rows, keys), (1, 1, keys), (1, 1, rows, keys), (1, heads, 1, keys),
                         (BATCH, 1, 1, keys), (BATCH, 1, rows, keys), shape])
        array = np.where(g.rng.random(mask) < 0.3, np.float32(-1e4), g.numbers(mask))
        m = g.input(mask, array.astype(np.float32)) if mask[0] == BATCH or g.chance(0.5) else \
            g.constant(array.astype(np.float32))
        s = g.node("Add", [s, m] if g.chance(0.5) else [m, s], [shape])
    p = g.node("Softmax", [s], [shape], axis=-1)
    y = p and g.node("MatMul", [p, values], [(BATCH, heads, rows, size)])
    if y and g.chance(0.7):
        y = g.node("Transpose", [y], [(BATCH, rows, heads, size)], perm=[0, 2, 1, 3])
        g.node("Reshape", [y, g.ints(0, rows, heads * size)], [(BATCH, rows, heads * size)])


@step(1)
def lstm(g):
    steps, batch, size, hidden = g.int(1, 6), g.int(1, 4), g.int(1, 9), g.choice([1, 3, 8, 17])
    direction = g.choice(["forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1
    x = g.input((steps, batch, size) if steps != BATCH else (steps + 1, batch, size))
    steps = x.shape[0]
    inputs = [x, g.constant(g.numbers((d, 4 * hidden, size), 0.4)),
              g.constant(g.numbers((d, 4 * hidden, hidden), 0.4)),
              g.constant(g.numbers((d, 8 * hidden))) if g.chance(0.7) else None]
    lengths = g.chance(0.5)
    inputs.append(g.input((batch,), g.rng.integers(0, steps + 1, batch).astype(np.int32))
                  if lengths and batch != BATCH else None)
    for _ in range(2):
        inputs.append(g.input((d, batch, hidden)) if d != BATCH and g.chance(0.5) else None)
    while inputs[-1] is None:
        inputs.pop()
    g.node("LSTM", inputs, [(steps, d, batch, hidden), (d, batch, hidden), (d, batch, hidden)],
           ["float32"] * 3, hidden_size=hidden, direction=direction)
