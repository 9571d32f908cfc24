#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the node tests that the installed onnx package generates, one folder each.

The layout is that of ONNX's backend tests: model.onnx, test_data_set_0/input_N.pb, output_N.pb.

usage: onnx_node_tests.py FOLDER
"""

import pathlib
import sys
import warnings

import numpy
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases


def to_proto(value, value_type):
    kind = value_type.WhichOneof("value")
    if kind == "sequence_type":
        return numpy_helper.from_list(list(value))
    if kind == "optional_type":
        return numpy_helper.from_optional(value)
    if isinstance(value, onnx.TensorProto):
        return value
    return numpy_helper.from_array(numpy.asarray(value))


def write_case(folder, case):
    data = folder / "test_data_set_0"
    data.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    inputs, outputs = case.data_sets[0]
    for word, values, infos in (
        ("input", inputs, case.model.graph.input),
        ("output", outputs, case.model.graph.output),
    ):
        for i, (value, info) in enumerate(zip(values, infos)):
            proto = to_proto(value, info.type)
            (data / f"{word}_{i}.pb").write_bytes(proto.SerializeToString())


def main():
    root = pathlib.Path(sys.argv[1]) / "node"
    warnings.simplefilter("ignore")
    cases = collect_testcases(None)
    for case in cases:
        write_case(root / case.name, case)
    print(f"onnx {onnx.__version__}: {len(cases)} tests in {root}")


if __name__ == "__main__":
    main()
