# SPDX-License-Identifier: Apache-2.0
"""Networks with an answer for every place of an image: segmentation and detection."""
import numpy as np

from convnets import conv_bn, image_case, images
from nn import INT64, Model, Net


def unet(real):
    """Ronneberger et al. 2015, U-Net, figure 1, padded. The two deepest levels grow by transposed
    convolution, the others by interpolation and a convolution."""
    side, base = (256, 64) if real else (48, 6)
    net = Net("unet", seed=15)

    def double(x, features):
        return conv_bn(net, conv_bn(net, x, features, 3, act=net.relu), features, 3, act=net.relu)

    def grow(x, features, level):
        if level >= 2:
            w = net.normal((x.features, features, 2, 2), np.sqrt(2.0 / x.features))
            return net.op("ConvTranspose", x, w, net.normal(features, 0.05, "bias"),
                          kernel_shape=[2, 2], strides=[2, 2], features=features)
        y = net.op("Resize", x, "", net.const([1, 1, 2, 2], np.float32), mode="linear",
                   coordinate_transformation_mode="half_pixel")
        return net.conv(y, features, 1)

    x, skips = images(net, side), []
    for level in range(4):
        with net.scope(f"down{level}"):
            skips.append(double(x, base << level))
            x = net.max_pool(skips[-1], 2, 2)
    with net.scope("bottom"):
        x = double(x, base << 4)
    for level in reversed(range(4)):
        with net.scope(f"up{level}"):
            x = double(net.concat([skips[level], grow(x, base << level, level)]), base << level)
    mask = net.op("Sigmoid", net.conv(x, 2, 1, bias=True))
    net.output("mask", mask, [1, 2, side, side])
    return Model(net.model(), [image_case(side)] * 2)


def cross_stage(net, x, features, blocks):
    """Wang et al. 2019, CSPNet: half of the features pass by the residual blocks."""
    left, right = (conv_bn(net, x, features // 2, 1, act=net.swish, gain=0.8) for _ in range(2))
    for _ in range(blocks):
        y = conv_bn(net, left, features // 2, 3, act=net.swish, gain=0.5)
        left = net.op("Add", left, y)
    return conv_bn(net, net.concat([left, right]), features, 1, act=net.swish, gain=0.8)


def decode(net, x, classes, cells, stride):
    """One scale: [1, 4 + classes, cells, cells] to boxes [1, places, 4] as corners and scores
    [1, classes, places]."""
    flat = net.op("Reshape", x, net.const([1, 4 + classes, cells * cells]))
    shift, size, logit = net.op("Split", flat, net.const([2, 2, classes]), axis=1, outputs=3)
    y, x = np.mgrid[0:cells, 0:cells].reshape(2, 1, -1).astype(np.float32)
    grid = net.weight(np.stack([y, x], 1) + 0.5, "grid")
    centre = net.op("Add", net.op("Sub", net.op("Sigmoid", shift), net.number(0.5)), grid)
    half = net.op("Pow", net.op("Mul", net.op("Sigmoid", size), net.number(2.0)), net.number(2.0))
    corners = [net.op(o, centre, half) for o in ("Sub", "Add")]
    boxes = net.op("Mul", net.op("Concat", *corners, axis=1), net.number(stride))
    return net.op("Transpose", boxes, perm=[0, 2, 1]), net.op("Sigmoid", logit)


def select(net, boxes, scores, floor):
    """Non-maximum suppression by class, then the rows that were kept: so few of each class that
    their scores lie further apart than rounding moves them."""
    kept = net.op("NonMaxSuppression", boxes, scores, net.const([5]), net.number([0.45]),
                  net.number([floor]))
    box_index = net.op("Gather", kept, net.const([0, 2]), axis=1)
    net.output("boxes", net.op("GatherND", boxes, box_index), ["kept", 4])
    net.output("scores", net.op("GatherND", scores, kept), ["kept"])
    net.output("classes", net.op("Gather", kept, net.const(1), axis=1), ["kept"], INT64)


def yolo(real):
    """A detector after Redmon et al. and Bochkovskiy et al.: cross-stage backbone, feature pyramid,
    three heads without anchors, suppression inside the model."""
    side, base, classes = (320, 32, 80) if real else (64, 4, 5)
    net = Net("yolo", seed=8)
    x, levels = images(net, side), []
    x = conv_bn(net, x, base, 3, 2, act=net.swish)
    for stage, blocks in enumerate([1, 2, 2, 1]):
        with net.scope(f"stage{stage + 1}"):
            x = conv_bn(net, x, base << (stage + 1), 3, 2, act=net.swish)
            x = cross_stage(net, x, x.features, blocks)
            levels.append(x)
    found = []
    for level in (3, 2, 1):
        with net.scope(f"head{level}"):
            if level < 3:
                up = net.op("Resize", x, "", net.const([1, 1, 2, 2], np.float32), mode="nearest",
                            coordinate_transformation_mode="asymmetric", nearest_mode="floor")
                x = cross_stage(net, net.concat([up, levels[level]]), levels[level].features, 1)
            y = net.conv(x, 4 + classes, 1, bias=True, gain=0.01 if real else 3.0)
            found.append(decode(net, y, classes, side >> (level + 2), 1 << (level + 2)))
    boxes = net.op("Concat", *[f[0] for f in found], axis=1)
    scores = net.op("Concat", *[f[1] for f in found], axis=2)
    select(net, boxes, scores, 0.75 if real else 0.55)
    return Model(net.model(), [image_case(side)] * 2)
