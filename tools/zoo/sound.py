# SPDX-License-Identifier: Apache-2.0
"""Networks for speech and other sequences: a speech encoder, a tagger, a voice detector."""
import math

import numpy as np
from onnx import helper

from nn import FLOAT, INT32, INT64, Model, Net
from transformers import encoder_block


def conv1d(net, x, features, kernel, stride=1, pad=0, bias=True, gain=2.0):
    """Convolution over time: [batch, features, time]."""
    w = net.normal((features, x.features, kernel), math.sqrt(gain / (x.features * kernel)))
    operands = [x, w] + ([net.normal(features, 0.05, "bias")] if bias else [])
    return net.op("Conv", *operands, kernel_shape=[kernel], strides=[stride], pads=[pad, pad],
                  features=features)


def whisper_encoder(real):
    """Radford et al. 2022, Robust speech recognition, figure 1 left; the tiny variant."""
    mels, frames, layers, width, heads = (80, 3000, 4, 384, 6) if real else (16, 96, 2, 48, 4)
    net = Net("whisper_encoder", seed=22)
    x = net.input("mel", ["batch", mels, frames], features=mels)
    with net.scope("stem"):
        x = net.gelu(conv1d(net, x, width, 3, pad=1))
        x = net.gelu(conv1d(net, x, width, 3, stride=2, pad=1))
        x = net.op("Transpose", x, perm=[0, 2, 1])
        rate = np.exp(-np.log(10000.0) / (width // 2 - 1) * np.arange(width // 2))
        angle = np.outer(np.arange(frames // 2), rate)
        positions = np.concatenate([np.sin(angle), np.cos(angle)], 1)
        x = net.op("Add", x, net.weight(positions, "positions"))
    for layer in range(layers):
        with net.scope(f"layer{layer}"):
            x = encoder_block(net, x, heads)
    net.output("hidden", net.layer_norm(x), ["batch", frames // 2, width])

    def case(batch):
        return lambda rng: {"mel": rng.standard_normal((batch, mels, frames), "float32")}
    return Model(net.model(), [case(1), case(2)])


def recurrent(net, x, hidden, directions, lengths="", state=("", "")):
    """Hochreiter and Schmidhuber 1997, with a forget gate: [time, batch, features] to
    [time, directions, batch, hidden], the last hidden and the last cell state."""
    w = net.normal((directions, 4 * hidden, x.features), 2.0 / math.sqrt(x.features))
    r = net.normal((directions, 4 * hidden, hidden), 1.0 / math.sqrt(hidden), "recurrence")
    b = net.normal((directions, 8 * hidden), 0.1, "bias")
    return net.op("LSTM", x, w, r, b, lengths, *state, hidden_size=hidden, outputs=3,
                  direction="bidirectional" if directions == 2 else "forward", features=hidden)


def lstm_tagger(real):
    """Huang et al. 2015, Bidirectional LSTM for sequence tagging: two layers, sentences of several
    lengths in one batch."""
    words, width, hidden, tags = (20000, 128, 256, 48) if real else (300, 24, 20, 12)
    net = Net("lstm_tagger", seed=97)
    tokens = net.input("tokens", ["batch", "time"], INT64)
    lengths = net.input("lengths", ["batch"], INT32)
    x, _ = net.embedding(tokens, words, width)
    x = net.op("Transpose", x, perm=[1, 0, 2])
    for layer in range(2):
        with net.scope(f"layer{layer}"):
            y, _, _ = recurrent(net, x, hidden, 2, lengths)
            y = net.op("Transpose", y, perm=[0, 2, 1, 3])
            x = net.op("Reshape", y, net.const([0, 0, 2 * hidden]), features=2 * hidden)
    x = net.op("Transpose", net.dense(x, tags, gain=9.0), perm=[1, 0, 2])
    net.output("log_probabilities", net.op("LogSoftmax", x, axis=-1), ["batch", "time", tags])

    def case(batch, time):
        return lambda rng: {"tokens": rng.integers(0, words, (batch, time)),
                            "lengths": rng.integers(1, time + 1, batch).astype(np.int32)}
    return Model(net.model(), [case(2, 12), case(5, 7), case(1, 25)])


def detect_voice(net, samples, state, window, hidden):
    """One sample rate: a short-time Fourier transform by convolution, four convolutions, an LSTM of
    one step a window, a probability. Returns it and the new state."""
    bins, hop = window // 2 + 1, window // 2
    t, k = np.arange(window), np.arange(bins)[:, None]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * t / window)
    angle = 2 * np.pi * k * t / window
    basis = np.concatenate([np.cos(angle), -np.sin(angle)])
    padded = net.op("Pad", net.op("Unsqueeze", samples, net.const([1])),
                    net.const([0, 0, 0, 0, 0, hop]), mode="reflect")
    spectrum = net.op("Conv", padded, net.weight((basis * hann)[:, None, :], "basis"),
                      kernel_shape=[window], strides=[hop])
    real, imaginary = (net.op("Slice", spectrum, net.const([a]), net.const([b]), net.const([1]))
                       for a, b in ((0, bins), (bins, 2 * bins)))
    power = net.op("Add", net.op("Pow", real, net.number(2.0)),
                   net.op("Pow", imaginary, net.number(2.0)))
    x = net.op("Log", net.op("Add", net.op("Sqrt", power), net.number(1.0)), features=bins)
    for width, stride in ((hidden, 1), (hidden // 2, 2), (hidden // 2, 2), (hidden, 1)):
        x = net.relu(conv1d(net, x, width, 3, stride, pad=1))
    x = net.op("Transpose", x, perm=[2, 0, 1])
    start = [net.op("Gather", state, net.const([i]), axis=0) for i in range(2)]
    _, last, cell = recurrent(net, x, hidden, 1, state=start)
    y = net.op("Squeeze", net.relu(last), net.const([0]), features=hidden)
    return (net.op("Sigmoid", net.dense(y, 1, gain=8.0)),
            net.op("Concat", last, cell, axis=0))


def voice_activity(real):
    """A voice detector in the manner of those in use: state in and out, a branch for each of two
    sample rates."""
    hidden, divide = (128, 1) if real else (16, 4)
    net = Net("voice_activity", seed=20)
    samples = net.input("samples", ["batch", "samples"])
    state = net.input("state", [2, "batch", hidden])
    rate = net.input("rate", [], INT64)
    branches = {}
    for key, window in (("then_branch", 256 // divide), ("else_branch", 128 // divide)):
        with net.body(f"window{window}") as graph:
            probability, after = detect_voice(net, samples, state, window, hidden)
        graph.output.extend([
            helper.make_tensor_value_info(probability, FLOAT, ["batch", 1]),
            helper.make_tensor_value_info(after, FLOAT, [2, "batch", hidden])])
        branches[key] = graph
    wide = net.op("Equal", rate, net.const(16000))
    probability, after = net.op("If", wide, outputs=2, **branches)
    net.output("probability", probability, ["batch", 1])
    net.output("new_state", after, [2, "batch", hidden])

    def case(batch, hertz, length):
        return lambda rng: {
            "samples": rng.standard_normal((batch, length), "float32"),
            "state": rng.standard_normal((2, batch, hidden), "float32") * np.float32(0.3),
            "rate": np.array(hertz, np.int64)}
    return Model(net.model(), [case(4, 16000, 512 // divide), case(3, 8000, 256 // divide),
                               case(6, 16000, 1024 // divide)])
