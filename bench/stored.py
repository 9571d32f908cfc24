#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What keeping plans saves: the time of a compile that searches beside one that finds its plan.

    stored.py TENON PLUGIN_DIR PACED_DIR [PAIRS]

Networks of random elementwise ops, each reading one or two of the values before it, are planned for
paced_npu (emulated; tests/support/paced), opencl and reference at assumed costs. Pairs of processes
take turns, without and with the store; medians of the compile phase. Needs the package onnx.
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

import onnx
from onnx import TensorProto, helper

SIZES = (100, 1000, 10000)
OPS = {"Add": 2, "Mul": 2, "Relu": 1, "Sigmoid": 1, "Tanh": 1, "Neg": 1, "Abs": 1}
ELEMENTS = 20000


def network(count):
    draw = random.Random(count)
    values = ["x"]
    nodes = []
    for index in range(count):
        op = draw.choice(list(OPS))
        inputs = [draw.choice(values[-12:]) for _ in range(OPS[op])]
        values.append(f"v{index}")
        nodes.append(helper.make_node(op, inputs, [values[-1]]))
    read = {name for node in nodes for name in node.input}
    ends = [v for v in values[1:] if v not in read]
    make = helper.make_tensor_value_info
    graph = helper.make_graph(nodes, "random", [make("x", TensorProto.FLOAT, [ELEMENTS])],
                              [make(v, TensorProto.FLOAT, [ELEMENTS]) for v in ends])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main():
    tenon, plugins, paced = sys.argv[1:4]
    pairs = int(sys.argv[4]) if len(sys.argv) > 4 else 9
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(pathlib.Path(folder) / "tenon", 0o700)
        environment = dict(os.environ, XDG_CACHE_HOME=folder)

        def compile_ms(model, *more):
            answer = subprocess.run(
                [tenon, "run", model, "--device", "paced_npu,opencl,reference", "--no-search",
                 "--plugin-dir", plugins, "--allow", "opencl", "--allow", "reference", "--allow",
                 "paced_npu", "--plugin", pathlib.Path(paced) / "paced_npu.so", "--json", *more],
                env=environment, capture_output=True, text=True, check=True)
            return json.loads(answer.stdout)["phases"]["compile_ns"] / 1e6

        for count in SIZES:
            model = pathlib.Path(folder) / f"{count}.onnx"
            onnx.save(network(count), model)
            compile_ms(model)  # keeps the plan
            searched, found = [], []
            for _ in range(pairs):
                searched.append(compile_ms(model, "--no-plan-store"))
                found.append(compile_ms(model))
            a, b = statistics.median(searched), statistics.median(found)
            size = sum(f.stat().st_size for f in (pathlib.Path(folder) / "tenon").glob("plan-*"))
            print(f"{count} ops: searched {a:.1f} ms, found {b:.1f} ms, ratio {a / b:.1f}; the store "
                  f"has {size} bytes", flush=True)


if __name__ == "__main__":
    main()
