# SPDX-License-Identifier: Apache-2.0
"""Convolutions, pooling, normalisation, resizing, recurrent, quantised and attention ops."""
import numpy as np

from ops import generator
from ops_math import ULP

DOT = 64.0  # units that a sum of products may differ by


def window(g, spatial):
    """kernel_shape, strides, dilations and padding of a convolution or pool."""
    kernel = [g.int(1, min(3, d)) for d in spatial]
    attributes = {"kernel_shape": kernel}
    if g.chance(0.6):
        attributes["strides"] = [g.int(1, 3) for _ in spatial]
    if g.chance(0.2):
        attributes["auto_pad"] = g.choice(["SAME_UPPER", "SAME_LOWER", "VALID"])
    else:
        if g.chance(0.6):
            attributes["pads"] = [g.int(0, k - 1) for k in kernel * 2]
        if g.chance(0.3):  # the window fits into the image
            attributes["dilations"] = [g.int(1, 2) if 2 * k - 1 <= d else 1
                                       for k, d in zip(kernel, spatial)]
    return attributes


def image(g, dtypes=("float32", "float32", "float32", "float64"), channels=None, low=2, high=7,
          dims=None, finite=False):
    dims = g.choice([1, 2, 2, 2, 3]) if dims is None else dims
    shape = (g.int(1, 2), channels or g.int(1, 4)) + tuple(g.int(low, high) for _ in range(dims))
    if channels is None and g.chance(0.5):
        fits = [v for v in g.visible() if v.dtype in dtypes and v.rank == dims + 2 and
                min(v.shape) >= 1 and min(v.shape[2:]) >= low and
                (not finite or np.isfinite(v.array).all())]
        if fits:
            return g.choice(fits)
    return g.pick(list(dtypes), shape=shape, finite=finite)


@generator("Conv")
def conv(g, op):
    group = g.choice([1, 1, 2])
    x = image(g, channels=group * g.int(1, 2), finite=True)
    attributes = window(g, x.shape[2:])
    out = group * g.int(1, 3)
    w = g.pick([x.dtype], shape=(out, x.shape[1] // group, *attributes["kernel_shape"]),
               finite=True)
    b = [g.pick([x.dtype], shape=(out,))] if g.chance(0.5) else []
    g.add(op, [x, w] + b, group=group, error=DOT, product=True, **attributes)


@generator("ConvTranspose")
def conv_transpose(g, op):
    group = g.choice([1, 1, 2])
    x = image(g, channels=group * g.int(1, 2), high=4, dtypes=["float32"], finite=True)
    attributes = window(g, x.shape[2:])
    if g.chance(0.3) and "strides" in attributes:
        attributes["output_padding"] = [g.int(0, s - 1) for s in attributes["strides"]]
    w = g.pick([x.dtype], shape=(x.shape[1], g.int(1, 3), *attributes["kernel_shape"]),
               finite=True)
    b = [g.pick([x.dtype], shape=(group * w.shape[1],))] if g.chance(0.5) else []
    g.add(op, [x, w] + b, group=group, error=DOT, product=True, **attributes)


@generator("MaxPool AveragePool LpPool")
def pool(g, op):
    x = image(g, dtypes=("float32", "float32", "float64", "uint8", "int8") if op == "MaxPool"
              else ("float32",))
    attributes = window(g, x.shape[2:])
    if g.chance(0.3) and "auto_pad" not in attributes and (op != "LpPool" or g.opset >= 18):
        attributes["ceil_mode"] = 1
    outputs = 1
    if op == "AveragePool":
        attributes["count_include_pad"] = g.int(0, 1)
    if op == "LpPool":
        attributes["p"] = g.choice([1, 2, 3])
    if op == "MaxPool" and x.exact:
        outputs = g.int(1, 2)
        attributes["storage_order"] = 0
    g.add(op, [x], outputs=outputs, error=0.0 if op == "MaxPool" else ULP, **attributes)


@generator("MaxUnpool")
def max_unpool(g, op):
    x = g.leaf(g.rng.permutation(36).reshape(1, 1, 6, 6).astype(np.float32))
    y, index = g.add("MaxPool", [x], outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    g.add(op, [y, index], kernel_shape=[2, 2], strides=[2, 2])


@generator("GlobalAveragePool GlobalMaxPool GlobalLpPool")
def global_pool(g, op):
    g.add(op, [image(g, dtypes=["float32"])], error=0.0 if op == "GlobalMaxPool" else ULP,
          **({"p": g.choice([1, 2, 3])} if op == "GlobalLpPool" else {}))


def channels(g, x, low=None, high=None, count=None):
    return g.pick([x.dtype], shape=(count or x.shape[1],), low=low, high=high, finite=True)


@generator("BatchNormalization")
def batch_norm(g, op):
    x = image(g, finite=True)
    g.add(op, [x, channels(g, x), channels(g, x), channels(g, x), channels(g, x, 0.5, 2)],
          epsilon=g.choice([1e-5, 1e-3]), error=ULP * 2, product=True)


@generator("InstanceNormalization")
def instance_norm(g, op):
    x = image(g, dtypes=["float32"], finite=True)
    g.add(op, [x, channels(g, x), channels(g, x)], epsilon=0.01, error=DOT * 20, product=True)


@generator("LayerNormalization")
def layer_norm(g, op):
    x = g.pick(["float32", "float32", "float64"], low_rank=1, finite=True)
    axis = g.int(0, x.rank - 1)
    parts = [g.pick([x.dtype], shape=x.shape[axis:], finite=True) for _ in range(g.int(1, 2))]
    g.add(op, [x] + parts, axis=g.choice([axis, axis - x.rank]), epsilon=0.01, error=DOT * 20,
          product=True)


@generator("RMSNormalization")
def rms_norm(g, op):
    x = g.pick(["float32"], low_rank=1, finite=True)
    axis = g.int(0, x.rank - 1)
    g.add(op, [x, g.pick([x.dtype], shape=x.shape[axis:], finite=True)], axis=axis, epsilon=0.01,
          error=DOT * 20, product=True)


@generator("GroupNormalization")
def group_norm(g, op):
    x = image(g, dtypes=["float32"], channels=4, finite=True)
    count = 4 if g.opset >= 21 else 2
    g.add(op, [x, channels(g, x, count=count), channels(g, x, count=count)], num_groups=2,
          epsilon=0.01, error=DOT * 20, product=True)


@generator("LRN")
def lrn(g, op):
    g.add(op, [image(g, dtypes=["float32"], dims=2, finite=True)], size=g.choice([1, 3, 5]),
          alpha=g.choice([1e-4, 0.5]), beta=0.75, bias=g.choice([1.0, 2.0]), error=DOT)


@generator("LpNormalization")
def lp_norm(g, op):
    x = g.pick(["float32", "float64"], low_rank=1, exact=True, finite=True)
    g.add(op, [x], p=g.int(1, 2), axis=g.int(-x.rank, x.rank - 1), error=ULP)


@generator("MeanVarianceNormalization")
def mean_variance(g, op):
    x = image(g, dtypes=["float32"], dims=2, finite=True)
    if x.exact and (x.array.size < 9 or x.array.std() > 0.3):
        g.add(op, [x], error=DOT * 50)


def resize_place(g, attributes):
    mode = attributes["mode"] = g.choice(["nearest", "linear", "cubic"])
    attributes["coordinate_transformation_mode"] = g.choice(
        ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"] +
        (["half_pixel_symmetric"] if g.opset >= 19 else []))
    if mode == "nearest":
        attributes["nearest_mode"] = g.choice(["round_prefer_floor", "round_prefer_ceil", "floor",
                                               "ceil"])
    if mode == "cubic":
        attributes["cubic_coeff_a"] = g.choice([-0.75, -0.5])
        attributes["exclude_outside"] = g.int(0, 1)
    if mode != "nearest" and g.opset >= 18 and g.chance(0.3):
        attributes["antialias"] = 1


@generator("Resize")
def resize(g, op):
    x = image(g, dtypes=["float32"], dims=2, finite=True)
    attributes = {}
    resize_place(g, attributes)
    factors = [g.choice([0.5, 1.0, 1.5, 2.0, 3.0]) for _ in range(2)]
    if attributes["mode"] == "nearest":  # no coordinate that rounding would move
        factors = [g.choice([0.5, 1.0, 2.0]) if d % 2 == 0 else 1.0 for d in x.shape[2:]]
    if g.chance(0.5):
        operands = [x, None, g.const([1.0, 1.0, *factors], "float32")]
    else:
        sizes = [max(1, int(d * f)) for d, f in zip(x.shape[2:], factors)]
        operands = [x, None, None, g.const([*x.shape[:2], *sizes])]
    g.add(op, operands, error=DOT * 4, **attributes)


@generator("GridSample")
def grid_sample(g, op):
    x = image(g, dtypes=["float32"], dims=2, finite=True)
    grid = g.numbers("float32", (x.shape[0], g.int(1, 4), g.int(1, 4), 2), -1.2, 1.2)
    modes = ["bilinear", "nearest", "bicubic"] if g.opset < 20 else ["linear", "nearest", "cubic"]
    g.add(op, [x, g.leaf(grid)], mode=g.choice(modes), align_corners=g.int(0, 1),
          padding_mode=g.choice(["zeros", "border", "reflection"]), error=DOT * 20)


@generator("AffineGrid")
def affine_grid(g, op):
    n, h, w = g.int(1, 2), g.int(2, 4), g.int(2, 4)  # one point has no corners
    g.add(op, [g.pick(["float32"], shape=(n, 2, 3)), g.const([n, 1, h, w])],
          align_corners=g.int(0, 1), error=DOT, product=True)


@generator("RoiAlign")
def roi_align(g, op):
    x = image(g, dtypes=["float32"], dims=2, low=4, finite=True)
    mode = g.choice(["avg", "max"])
    rois = np.sort(g.rng.uniform(0, 6, (3, 2, 2)), axis=1).reshape(3, 4)
    batch = g.leaf(g.numbers("int64", (3,), 0, x.shape[0] - 1))
    g.add(op, [x, g.leaf(rois.astype(np.float32)), batch], output_height=g.int(1, 3),
          output_width=g.int(1, 3), sampling_ratio=1 if mode == "max" else g.int(0, 2), mode=mode,
          spatial_scale=g.choice([1.0, 0.5]), error=DOT * 20)


@generator("MaxRoiPool")
def max_roi_pool(g, op):
    x = image(g, dtypes=["float32"], dims=2, low=5, finite=True)
    corners = np.sort(g.rng.integers(0, 5, (2, 2, 2)), axis=1).reshape(2, 4)
    rois = np.concatenate([g.rng.integers(0, x.shape[0], (2, 1)), corners], 1)
    g.add(op, [x, g.leaf(rois.astype(np.float32))], pooled_shape=[g.int(1, 3), g.int(1, 3)])


@generator("NonMaxSuppression")
def suppress(g, op):
    n, boxes, classes = g.int(1, 2), g.int(1, 8), g.int(1, 3)
    corners = np.sort(g.rng.uniform(0, 1, (n, boxes, 2, 2)), axis=2).reshape(n, boxes, 4)
    operands = [corners.astype(np.float32), g.rng.random((n, classes, boxes)).astype(np.float32),
                np.array([g.int(1, 4)], np.int64), np.array([g.choice([0.2, 0.5])], np.float32),
                np.array([g.choice([0.0, 0.4])], np.float32)]
    g.add(op, [g.leaf(o) for o in operands[:g.int(3, 5)]], center_point_box=g.int(0, 1))


@generator("LSTM GRU RNN")
def recurrent(g, op):
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    direction = g.choice(["forward", "reverse", "bidirectional"])
    d = 2 if direction == "bidirectional" else 1
    time, batch, features, hidden = g.int(1, 4), g.int(1, 3), g.int(1, 4), g.int(1, 4)
    x = g.pick(["float32"], shape=(time, batch, features), finite=True)
    w, r, b, h, c, p = (g.leaf(g.numbers("float32", s, -1, 1)) if g.chance(share) else None
                        for s, share in [((d, gates * hidden, features), 1),
                                         ((d, gates * hidden, hidden), 1),
                                         ((d, 2 * gates * hidden), 0.6), ((d, batch, hidden), 0.4),
                                         ((d, batch, hidden), 0.4), ((d, 3 * hidden), 0.3)])
    lengths = g.leaf(g.numbers("int32", (batch,), 1, time)) if g.chance(0.4) else None
    attributes = {"linear_before_reset": g.int(0, 1)} if op == "GRU" else {}
    if g.chance(0.3):
        attributes["clip"] = g.choice([0.5, 2.0])
    operands = [x, w, r, b, lengths, h] + ([c, p] if op == "LSTM" else [])
    while operands[-1] is None:
        operands.pop()
    g.add(op, operands, outputs=3 if op == "LSTM" else 2, hidden_size=hidden, direction=direction,
          error=DOT * 40, **attributes)


def scale_point(g, dtype, shape, low=0.02, high=0.3):
    scale = (g.rng.integers(1, 16, shape) / 64).astype(np.float32)
    small = np.iinfo(dtype)
    return [g.leaf(scale), g.leaf(g.rng.integers(max(small.min, -5), 6, shape).astype(dtype))]


@generator("QuantizeLinear DequantizeLinear")
def quantize(g, op):
    dtype = g.choice(["uint8", "int8"] + (["uint16", "int16"] if g.opset >= 21 else []))
    source = ["float32"] if op == "QuantizeLinear" else [dtype]
    x = g.pick(source, exact=True, finite=True, low_rank=1)
    by_axis = g.chance(0.4)
    axis = g.int(0, x.rank - 1)
    parts = scale_point(g, dtype, (x.shape[axis],) if by_axis else ())
    g.add(op, [x] + parts, **({"axis": axis} if by_axis else {}))


@generator("DynamicQuantizeLinear")
def dynamic_quantize(g, op):
    g.add(op, [g.pick(["float32"], exact=True, finite=True)], outputs=3)


@generator("QLinearMatMul")
def qlinear_matmul(g, op):
    n, k, m = (g.int(1, 4) for _ in range(3))
    kinds = [g.choice(["uint8", "int8"])] * 3
    a, b = g.pick([kinds[0]], shape=(n, k)), g.pick([kinds[1]], shape=(k, m))
    g.add(op, [a, *scale_point(g, kinds[0], ()), b, *scale_point(g, kinds[1], ()),
               *scale_point(g, kinds[2], ())])


@generator("QLinearConv ConvInteger")
def qlinear_conv(g, op):
    x = image(g, dtypes=["uint8"], dims=2, channels=g.int(1, 3))
    attributes = window(g, x.shape[2:])
    kind = g.choice(["uint8", "int8"])
    w = g.leaf(g.numbers(kind, (g.int(1, 3), x.shape[1], *attributes["kernel_shape"])), True)
    if op == "ConvInteger":
        points = [g.leaf(np.array(g.int(0, 5), np.uint8), True),
                  g.leaf(np.array(g.int(0, 5), kind), True)][:g.int(0, 2)]
        g.add(op, [x, w] + points, **attributes)
        return
    by_channel = (w.shape[0],) if g.chance(0.5) else ()
    scale = g.leaf((g.rng.integers(1, 16, by_channel) / 64).astype(np.float32), True)
    point = g.leaf(np.zeros(by_channel, kind), True)
    bias = [g.leaf(g.rng.integers(-50, 50, w.shape[0]).astype(np.int32), True)]
    g.add(op, [x, *scale_point(g, "uint8", ()), w, scale, point, *scale_point(g, "uint8", ())] +
          bias[:g.int(0, 1)], **attributes)


@generator("NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss")
def loss(g, op):
    n, c = g.int(1, 4), g.int(1, 5)
    tail = g.shape(g.int(0, 2), 1, 3)
    if 0 in tail:
        return
    x = g.pick(["float32"], shape=(n, c, *tail), finite=True)
    labels = g.leaf(g.numbers(g.choice(["int64", "int32"]), (n, *tail), 0, c - 1))
    weight = [g.leaf(g.numbers("float32", (c,), 0.5, 2))] if g.chance(0.5) else []
    g.add(op, [x, labels] + weight, reduction=g.choice(["none", "sum", "mean"]), error=DOT * 4,
          product=True, **({"ignore_index": g.int(0, c - 1)} if g.chance(0.3) else {}))


@generator("HannWindow HammingWindow BlackmanWindow")
def window_function(g, op):
    g.add(op, [g.const(g.int(3, 12))], periodic=g.int(0, 1), error=ULP * 4)


@generator("DFT")
def dft(g, op):
    n, parts = g.int(1, 9), g.int(1, 2)
    x = g.pick(["float32"], shape=(g.int(1, 2), n, parts), finite=True)
    inverse = g.int(0, 1)
    one_sided = 0 if parts == 2 or inverse else g.int(0, 1)
    if g.opset >= 20:
        g.add(op, [x, None, g.const(1)], inverse=inverse, onesided=one_sided, error=DOT * 8)
    else:
        g.add(op, [x], axis=1, inverse=inverse, onesided=one_sided, error=DOT * 8)


@generator("STFT")
def stft(g, op):
    length, frame = g.int(8, 16), 4
    x = g.pick(["float32"], shape=(g.int(1, 2), length, 1), finite=True)
    w = [g.leaf(g.numbers("float32", (frame,), 0.1, 1.0))]
    g.add(op, [x, g.const(g.int(1, 4)), w[0], g.const(frame)], onesided=g.int(0, 1),
          error=DOT * 8)


@generator("MelWeightMatrix")
def mel(g, op):
    operands = [np.int64(g.int(2, 6)), np.int64(g.choice([8, 16])), np.int64(800),
                np.float32(g.int(0, 20)), np.float32(350)]
    g.add(op, [g.leaf(np.asarray(o)) for o in operands], error=ULP * 8)


@generator("Attention")
def attention(g, op):
    batch, heads, size = g.int(1, 2), g.int(1, 3), g.choice([2, 4])
    time, total = g.int(1, 4), g.int(1, 4)
    shapes = [(batch, heads, t, size) for t in (time, total, total)]
    q, k, v = (g.pick(["float32"], shape=s, finite=True) for s in shapes)
    mask = [g.leaf(g.numbers("bool", (time, total)) | np.eye(time, total, dtype=bool) |
                   (np.arange(total) == 0))] if g.chance(0.4) else []
    g.add(op, [q, k, v] + mask, is_causal=0 if mask else g.int(0, 1), error=DOT * 8, product=True)


@generator("RotaryEmbedding")
def rotary(g, op):
    batch, heads, time, size = g.int(1, 2), g.int(1, 2), g.int(1, 4), 4
    tables = [g.leaf(g.numbers("float32", (8, size // 2), -1, 1)) for _ in range(2)]
    ids = g.leaf(g.numbers("int64", (batch, time), 0, 7))
    g.add(op, [g.pick(["float32"], shape=(batch, heads, time, size)), *tables, ids],
          interleaved=g.int(0, 1), error=ULP)


@generator("TfIdfVectorizer")
def tfidf(g, op):
    x = g.leaf(g.numbers(g.choice(["int32", "int64"]), g.choice([(8,), (2, 6)]), 0, 5))
    low = g.int(1, 2)
    g.add(op, [x], mode=g.choice(["TF", "IDF", "TFIDF"]), min_gram_length=low, max_gram_length=2,
          max_skip_count=g.int(0, 2), ngram_counts=[0, 3], ngram_indexes=[0, 1, 2, 3, 4],
          pool_int64s=[1, 3, 5, 1, 2, 3, 4], weights=[1.0, 0.5, 2.0, 1.5, 3.0])
