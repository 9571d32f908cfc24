#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the digits classifier and writes digits.onnx and held_out.bin beside this file.

Data: scikit-learn's bundled handwritten digits (1797 images of 8x8, 16 grey levels), split once by a
fixed seed. The network is a small convolutional one; the training loop is plain NumPy, so that the
whole of it can be read here and runs in under two minutes on one core.

held_out.bin: for every held-out image one byte label and 64 bytes of pixels (0 to 16), row by row.
"""
import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

SEED = 20260
HELD_OUT = 360
EPOCHS = 60
BATCH = 64


def im2col(x):
    """3x3 patches of x (n, c, h, w) with zero padding 1, as (n, h, w, c * 9)."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.stack([padded[:, :, i:i + h, j:j + w] for i in range(3) for j in range(3)], axis=2)
    return patches.reshape(n, c * 9, h, w).transpose(0, 2, 3, 1)


def col2im(cols, c):
    """The adjoint of im2col."""
    n, h, w, _ = cols.shape
    patches = cols.transpose(0, 3, 1, 2).reshape(n, c, 9, h, w)
    padded = np.zeros((n, c, h + 2, w + 2), cols.dtype)
    for k in range(9):
        i, j = divmod(k, 3)
        padded[:, :, i:i + h, j:j + w] += patches[:, :, k]
    return padded[:, :, 1:-1, 1:-1]


class Network:
    """conv 16, relu, max pool 2, conv 32, relu, dense 64, relu, dense 10."""

    def __init__(self, rng):
        def he(shape, fan_in):
            return (rng.standard_normal(shape) * np.sqrt(2.0 / fan_in)).astype(np.float32)

        self.params = {
            "conv1.w": he((16, 1, 3, 3), 9), "conv1.b": np.zeros(16, np.float32),
            "conv2.w": he((32, 16, 3, 3), 144), "conv2.b": np.zeros(32, np.float32),
            "dense1.w": he((512, 64), 512), "dense1.b": np.zeros(64, np.float32),
            "dense2.w": he((64, 10), 64), "dense2.b": np.zeros(10, np.float32),
        }

    def conv(self, x, name):
        cols = im2col(x)
        w = self.params[name + ".w"].reshape(self.params[name + ".w"].shape[0], -1)
        return cols, (cols @ w.T + self.params[name + ".b"]).transpose(0, 3, 1, 2)

    def forward(self, x):
        c = {"x": x}
        c["cols1"], a = self.conv(x, "conv1")
        c["r1"] = np.maximum(a, 0)
        n = x.shape[0]
        windows = c["r1"].reshape(n, 16, 4, 2, 4, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, 16, 4, 4, 4)
        c["arg"] = windows.argmax(-1)
        c["p1"] = np.take_along_axis(windows, c["arg"][..., None], -1)[..., 0]
        c["cols2"], a = self.conv(c["p1"], "conv2")
        c["r2"] = np.maximum(a, 0)
        c["flat"] = c["r2"].reshape(n, 512)
        c["d1"] = np.maximum(c["flat"] @ self.params["dense1.w"] + self.params["dense1.b"], 0)
        c["logits"] = c["d1"] @ self.params["dense2.w"] + self.params["dense2.b"]
        return c

    def gradients(self, x, labels):
        c = self.forward(x)
        n = x.shape[0]
        p = np.exp(c["logits"] - c["logits"].max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(n), labels] -= 1
        d = p / n
        g = {"dense2.w": c["d1"].T @ d, "dense2.b": d.sum(0)}
        d = (d @ self.params["dense2.w"].T) * (c["d1"] > 0)
        g["dense1.w"], g["dense1.b"] = c["flat"].T @ d, d.sum(0)
        d = (d @ self.params["dense1.w"].T).reshape(n, 32, 4, 4) * (c["r2"] > 0)
        d = self.conv_gradients(g, "conv2", c["cols2"], d, 16)
        windows = np.zeros((n, 16, 4, 4, 4), np.float32)
        np.put_along_axis(windows, c["arg"][..., None], d[..., None], -1)
        d = windows.reshape(n, 16, 4, 4, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, 16, 8, 8)
        self.conv_gradients(g, "conv1", c["cols1"], d * (c["r1"] > 0), 1)
        return g

    def conv_gradients(self, g, name, cols, d, channels):
        flat = d.transpose(0, 2, 3, 1)
        out = flat.shape[-1]
        g[name + ".w"] = np.tensordot(flat, cols, ((0, 1, 2), (0, 1, 2))).reshape(out, channels, 3, 3)
        g[name + ".b"] = flat.sum((0, 1, 2))
        return col2im(flat @ self.params[name + ".w"].reshape(out, -1), channels)


def shifted(x, rng):
    """Moves every image by up to one pixel, so that the network does not learn exact places."""
    out = np.zeros_like(x)
    for i, (dy, dx) in enumerate(rng.integers(-1, 2, (x.shape[0], 2))):
        out[i] = np.roll(x[i], (dy, dx), (1, 2))
    return out


def train(images, labels, rng):
    network = Network(rng)
    moments = {k: (np.zeros_like(v), np.zeros_like(v)) for k, v in network.params.items()}
    step = 0
    for epoch in range(EPOCHS):
        rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        order = rng.permutation(len(images))
        for begin in range(0, len(order), BATCH):
            batch = order[begin:begin + BATCH]
            gradients = network.gradients(shifted(images[batch], rng), labels[batch])
            step += 1
            for name, g in gradients.items():
                m, v = moments[name]
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                update = (m / (1 - 0.9 ** step)) / (np.sqrt(v / (1 - 0.999 ** step)) + 1e-8)
                network.params[name] -= (rate * update).astype(np.float32)
    return network


def to_onnx(network):
    def node(op, inputs, output, **attributes):
        return helper.make_node(op, inputs, [output], name=output, **attributes)

    nodes = [
        node("Conv", ["image", "conv1.w", "conv1.b"], "conv1", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["conv1"], "relu1"),
        node("MaxPool", ["relu1"], "pool1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pool1", "conv2.w", "conv2.b"], "conv2", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["conv2"], "relu2"),
        node("Flatten", ["relu2"], "flat", axis=1),
        node("Gemm", ["flat", "dense1.w", "dense1.b"], "dense1"),
        node("Relu", ["dense1"], "relu3"),
        node("Gemm", ["relu3", "dense2.w", "dense2.b"], "logits"),
        node("Softmax", ["logits"], "probabilities", axis=1),
    ]
    graph = helper.make_graph(
        nodes, "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(v, k) for k, v in network.params.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="digits")
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    out = parser.parse_args().out
    rng = np.random.default_rng(SEED)
    data = load_digits()
    images = (data.images / 16.0).astype(np.float32)[:, None]
    labels = data.target.astype(np.int64)
    order = rng.permutation(len(images))
    held, kept = order[:HELD_OUT], order[HELD_OUT:]
    network = train(images[kept], labels[kept], rng)
    right = int((network.forward(images[held])["logits"].argmax(1) == labels[held]).sum())
    out.mkdir(parents=True, exist_ok=True)
    onnx.save(to_onnx(network), out / "digits.onnx")
    with open(out / "held_out.bin", "wb") as file:
        for i in held:
            file.write(bytes([labels[i]]) + data.images[i].astype(np.uint8).tobytes())
    (out / "accuracy.txt").write_text(f"{right} {HELD_OUT}\n")
    print(f"{right} of {HELD_OUT} held-out images right ({100 * right / HELD_OUT:.2f} %)")


if __name__ == "__main__":
    main()
