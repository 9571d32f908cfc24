# SPDX-License-Identifier: Apache-2.0
"""Attention networks: encoders of text, images and speech, and decoders with a cache."""
import math

import numpy as np
from ml_dtypes import int4

from convnets import image_case
from nn import INT64, Model, Net


def encoder_block(net, x, heads, mask=None):
    """Layer normalisation first, as all but the oldest transformers have it."""
    x = net.op("Add", x, net.self_attention(net.layer_norm(x), heads, mask))
    return net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * x.features))


def token_case(batch, time, words):
    def draw(rng):
        length = rng.integers(max(1, time // 2), time + 1, batch)
        return {"input_ids": rng.integers(0, words, (batch, time)),
                "token_type_ids": rng.integers(0, 2, (batch, time)),
                "attention_mask": (np.arange(time) < length[:, None]).astype(np.int64)}
    return draw


def bert_base(real):
    """Devlin et al. 2018, BERT: post-normalised blocks, three embeddings, a pooled first token."""
    layers, width, heads, words, times = (12, 768, 12, 30522, 512) if real else (2, 48, 4, 300, 64)
    net = Net("bert_base", seed=18)
    shape = ["batch", "time"]
    ids, types, mask = (net.input(n, shape, INT64)
                        for n in ("input_ids", "token_type_ids", "attention_mask"))
    with net.scope("embeddings"):
        positions = net.weight(net.rng.standard_normal((times, width), np.float32), "positions")
        time = net.op("Gather", net.op("Shape", ids), net.const([1]))
        position = net.op("Slice", positions, net.const([0]), time, net.const([0]))
        x, _ = net.embedding(ids, words, width)
        kind, _ = net.embedding(types, 2, width)
        x = net.layer_norm(net.op("Add", net.op("Add", x, kind), position), 1e-12)
    with net.scope("mask"):
        keep = net.op("Cast", net.op("Unsqueeze", mask, net.const([1, 2])), to=1)
        hidden = net.op("Mul", net.op("Sub", net.number(1.0), keep), net.number(-1e4))
    for layer in range(layers):
        with net.scope(f"layer{layer}"):
            x = net.layer_norm(net.op("Add", x, net.self_attention(x, heads, hidden)), 1e-12)
            x = net.layer_norm(net.op("Add", x, net.feed_forward(x, 4 * width)), 1e-12)
    with net.scope("pooler"):
        first = net.op("Gather", x, net.const(0), axis=1)
        pooled = net.op("Tanh", net.dense(first, width))
    net.output("last_hidden_state", x, shape + [width])
    net.output("pooled", pooled, ["batch", width])
    sizes = [(1, 128), (4, 32), (1, 384)] if real else [(1, 16), (3, 7), (2, 33)]
    return Model(net.model(), [token_case(b, t, words) for b, t in sizes])


def vit_small(real):
    """Dosovitskiy et al. 2020, An image is worth 16x16 words; the small variant."""
    side, patch, layers, width, heads, classes = (224, 16, 12, 384, 6, 1000) if real else (
        48, 8, 3, 48, 4, 40)
    net = Net("vit_small", seed=16)
    image = net.input("image", ["batch", 3, side, side], features=3)
    places = (side // patch) ** 2
    with net.scope("embeddings"):
        x = net.conv(image, width, patch, patch, bias=True, pad=0, gain=1.0)
        x = net.op("Reshape", x, net.const([0, width, -1]))
        x = net.op("Transpose", x, perm=[0, 2, 1])
        batch = net.op("Gather", net.op("Shape", image), net.const([0]))
        shape = net.op("Concat", batch, net.const([1, width]), axis=0)
        token = net.op("Expand", net.normal((1, 1, width), 1.0, "class"), shape)
        x = net.op("Concat", token, x, axis=1, features=width)
        x = net.op("Add", x, net.normal((1, places + 1, width), 0.5, "positions"))
    for layer in range(layers):
        with net.scope(f"layer{layer}"):
            x = encoder_block(net, x, heads)
    x = net.op("Gather", net.layer_norm(x), net.const(0), axis=1)
    net.output("logits", net.dense(x, classes), ["batch", classes])
    return Model(net.model(), [image_case(side), image_case(side, batch=3)])


def cache_case(batch, time, past, layers, heads, size, words):
    def draw(rng):
        feeds = {"input_ids": rng.integers(0, words, (batch, time))}
        for layer in range(layers):
            for part in ("key", "value"):
                feeds[f"past_{part}_{layer}"] = rng.standard_normal((batch, heads, past, size),
                                                                    "float32")
        return feeds
    return draw


def with_cache(net, layer, k, v, heads, size):
    """The keys and values so far: those of the past in front of the new ones."""
    shape = ["batch", heads, "total", size]
    joined = []
    for part, new in (("key", k), ("value", v)):
        past = net.input(f"past_{part}_{layer}", ["batch", heads, "past", size], features=size)
        joined.append(net.op("Concat", past, new, axis=2))
        net.output(f"present_{part}_{layer}", joined[-1], shape)
    return joined


def causal(net, ids, past_key):
    """Positions of the new tokens and what each may see: [time, total], 0 or a large negative."""
    with net.scope("mask"):
        past = net.op("Gather", net.op("Shape", past_key), net.const(2))
        time = net.op("Gather", net.op("Shape", ids), net.const(1))
        total = net.op("Add", past, time)
        rows = net.op("Range", past, total, net.const(1))
        columns = net.op("Range", net.const(0), total, net.const(1))
        seen = net.op("LessOrEqual", columns, net.op("Unsqueeze", rows, net.const([1])))
        return rows, net.op("Where", seen, net.number(0.0), net.number(-1e9))


def gpt_decoder(real):
    """Radford et al. 2019, GPT-2: learned positions, tied embeddings; the past is an input."""
    layers, width, heads, words, times = (6, 768, 12, 50257, 1024) if real else (3, 48, 4, 300, 512)
    size = width // heads
    net = Net("gpt_decoder", seed=19)
    ids = net.input("input_ids", ["batch", "time"], INT64)
    rows, mask = causal(net, ids, "past_key_0")
    with net.scope("embeddings"):
        x, table = net.embedding(ids, words, width)
        where = net.op("Gather", net.normal((times, width), 0.5, "positions"), rows)
        x = net.op("Add", x, where)
    for layer in range(layers):
        with net.scope(f"layer{layer}"):
            y = net.dense(net.layer_norm(x), 3 * width)
            q, k, v = (net.heads(t, heads) for t in split(net, y, 3))
            k, v = with_cache(net, layer, k, v, heads, size)
            y = net.merge_heads(net.attend(q, k, v, mask), heads)
            x = net.op("Add", x, net.dense(y, width))
            x = net.op("Add", x, net.feed_forward(net.layer_norm(x), 4 * width))
    logits = net.op("MatMul", net.layer_norm(x), net.op("Transpose", table, perm=[1, 0]))
    logits = net.op("Mul", logits, net.number(3.0 / math.sqrt(width)))
    net.output("logits", logits, ["batch", "time", words])
    sizes = [(1, 32, 0), (1, 1, 255), (4, 1, 64)] if real else [(1, 5, 0), (1, 1, 20), (2, 3, 9)]
    return Model(net.model(), [cache_case(b, t, p, layers, heads, size, words)
                               for b, t, p in sizes])


def split(net, x, parts):
    parts_of_x = net.op("Split", x, net.const([x.features // parts] * parts), axis=-1,
                        outputs=parts)
    for part in parts_of_x:
        part.features = x.features // parts
    return parts_of_x


def rms_norm(net, x):
    """Zhang and Sennrich 2019, equation 4, as exporters write it."""
    mean = net.op("ReduceMean", net.op("Pow", x, net.number(2.0)), net.const([-1]), keepdims=1)
    root = net.op("Sqrt", net.op("Add", mean, net.number(1e-5)))
    return net.op("Mul", net.op("Div", x, root), net.uniform(x.features, 0.8, 1.2, "scale"))


def rotate(net, x, cosine, sine):
    """Su et al. 2021, RoFormer, equation 34, with the two halves of a head as pairs."""
    half = x.features // 2
    left, right = (net.op("Slice", x, net.const([a]), net.const([b]), net.const([-1]))
                   for a, b in ((0, half), (half, 2 * half)))
    turned = net.op("Concat", net.op("Neg", right), left, axis=-1)
    return net.op("Add", net.op("Mul", x, cosine), net.op("Mul", turned, sine), features=x.features)


def int4_dense(net, x, features, block):
    """Weights of four bits with one scale for each block of rows."""
    count = x.features // block
    values = np.clip(np.round(net.rng.standard_normal((x.features, features)) * 2.7), -8, 7)
    scale = net.rng.uniform(0.8, 1.2, (count, features)) / (2.7 * math.sqrt(x.features))
    w = net.weight(values, "weight", int4)
    w = net.op("DequantizeLinear", w, net.weight(scale, "weight.scale"), axis=0, block_size=block)
    return net.op("MatMul", x, w, features=features)


def share_heads(net, x, heads, groups):
    """Ainslie et al. 2023: a group of query heads reads one head of keys and values."""
    size = x.features
    y = net.op("Unsqueeze", x, net.const([2]))
    y = net.op("Expand", y, net.const([1, 1, heads // groups, 1, 1]))
    return net.op("Reshape", y, net.const([0, heads, -1, size]), features=size)


def decoder_int4(real):
    """Touvron et al. 2023, LLaMA: rotary positions, RMS norms, gated feed-forward, shared key and
    value heads; weights in four bits."""
    layers, width, heads, groups, words, times, block = (
        (8, 1024, 16, 4, 32000, 2048, 32) if real else (2, 64, 4, 2, 300, 96, 16))
    size, inner = width // heads, width * 3
    net = Net("decoder_int4", seed=23, opset=21)
    ids = net.input("input_ids", ["batch", "time"], INT64)
    rows, mask = causal(net, ids, "past_key_0")
    angle = np.outer(np.arange(times), 10000.0 ** (-np.arange(size // 2) / (size // 2)))
    cosine, sine = (net.op("Gather", net.weight(np.tile(f(angle), 2), n), rows)
                    for f, n in ((np.cos, "cosine"), (np.sin, "sine")))
    x, _ = net.embedding(ids, words, width)
    for layer in range(layers):
        with net.scope(f"layer{layer}"):
            y = rms_norm(net, x)
            q, k, v = (net.heads(int4_dense(net, y, n * size, block), n)
                       for n in (heads, groups, groups))
            q, k = (rotate(net, t, cosine, sine) for t in (q, k))
            k, v = with_cache(net, layer, k, v, groups, size)
            k, v = (share_heads(net, t, heads, groups) for t in (k, v))
            y = net.merge_heads(net.attend(q, k, v, mask), heads)
            x = net.op("Add", x, int4_dense(net, y, width, block))
            y = rms_norm(net, x)
            gate, up = (int4_dense(net, y, inner, block) for _ in range(2))
            y = net.op("Mul", net.swish(gate), up, features=inner)
            x = net.op("Add", x, int4_dense(net, y, width, block))
    logits = int4_dense(net, rms_norm(net, x), words, block)
    net.output("logits", logits, ["batch", "time", words])
    sizes = [(1, 16, 0), (1, 1, 127)] if real else [(1, 5, 0), (1, 1, 20), (2, 3, 9)]
    return Model(net.model(), [cache_case(b, t, p, layers, groups, size, words)
                               for b, t, p in sizes])
