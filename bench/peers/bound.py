#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How near Tenon comes to what oneDNN's own primitives sum to, on one core.

    bound.py [--rounds N]

bound.c runs a network's convolutions and matrix products, and nothing else, each by the library's
fastest algorithm for it; Tenon runs the network, in turn with it.
"""
import argparse
import collections
import os
import pathlib
import signal
import statistics
import sys

import onnx

import models
import peers
import report
import runtimes
from contender import Contender

ROOT = runtimes.ROOT


def fix_sizes(model, case):
    """Writes the case's sizes into the inputs, so that all shapes can be inferred."""
    for entry in model.graph.input:
        for dim in entry.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = case.symbols[dim.dim_param]


def conv(node, shape):
    x, w, y = (shape[n] for n in (node.input[0], node.input[1], node.output[0]))
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    pads = attributes.get("pads", [0] * 4)
    if attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or set(
            attributes.get("dilations", [1])) != {1}:
        raise SystemExit(f"bound: {node.name}: only explicit paddings, no dilation")
    return ["conv", *x, y[1], *w[2:], *y[2:], *attributes.get("strides", [1, 1]), *pads,
            attributes.get("group", 1)]


def matmul(node, shape):
    """Batches of activations stay batches; with a weight, all rows are one matrix."""
    a, b = shape[node.input[0]], shape[node.input[1]]
    if node.op_type == "Gemm":
        return ["matmul", 1, a[0], a[1], shape[node.output[0]][1]]
    rows = a[:-1]
    batch = 1
    if len(b) > 2:
        rows, batch = a[-2:-1], int(onnx.numpy_helper.np.prod(a[:-2]))
    count = int(onnx.numpy_helper.np.prod(rows)) if rows else 1
    return ["matmul", batch, count, a[-1], b[-1]]


def layers(path, case):
    """One line for every different layer, with how often it is there."""
    model = onnx.load(path)
    fix_sizes(model, case)
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shape = {i.name: list(i.dims) for i in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shape[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    found = collections.Counter()
    for node in graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            kind, *sizes = (conv if node.op_type == "Conv" else matmul)(node, shape)
            if 0 in sizes[:5]:
                raise SystemExit(f"bound: {node.name}: sizes are not known: {sizes}")
            found[kind, tuple(sizes)] += 1
    return [" ".join(map(str, (kind, count, *sizes))) for (kind, sizes), count in found.items()]


def compare(starter, case, rounds):
    path = starter.work / f"{case.name}.layers"
    path.write_text("\n".join(layers(starter.model(case), case)) + "\n", encoding="ascii")
    feeds = peers.write_inputs(case, starter.work)
    commands = {"bound": [str(starter.loop.with_name("tenon-bound")), str(path)],
                **{name: starter.tenon(case, feeds, 1, runtimes.TENON[name])
                   for name in ("tenon", "tenon --precise")}}
    alive, turns = {}, {name: [] for name in commands}
    try:
        for name, command in commands.items():
            alive[name] = Contender(command, starter.work / "bound.log")
        for _ in range(rounds):
            for name, process in alive.items():
                turns[name].append(statistics.median(process.run(7)[2:]))
    finally:
        for process in alive.values():
            process.close()
    over = statistics.median(t / b for t, b in zip(turns["tenon"], turns["bound"]))
    return [case.name, *(report.cell(statistics.median(turns[n]) / 1e6) for n in commands),
            f"{(over - 1) * 100:+.1f} %"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/peers-venv")
    parser.add_argument("--zoo", type=pathlib.Path, default=ROOT / "build/zoo")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/peers")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nobody stays behind, stopped
    args.work.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"  # what oneDNN asks; Tenon is told by an option
    starter = runtimes.Starter(args.build, args.venv, args.zoo, args.work)
    cases = models.chosen(["resnet50", "bert_base"])
    rows = [compare(starter, case, args.rounds) for case in cases]
    print(f"{report.machine()}; {args.rounds} rounds in turn, one thread\n")
    print(report.table(["model", "oneDNN's primitives, ms", "tenon, ms", "tenon --precise, ms",
                        "tenon over the primitives"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
