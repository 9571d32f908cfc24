#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models that `tenon save` writes, as others see them.

Every model of ONNX's test sets is written as imported and in canonical form. Where onnx.checker
accepts the original, it accepts both; where onnxruntime runs the original on the test's data, it
runs both with the same answers: equal as imported, within rounding in canonical form.

usage: save_readers_test.py TENON FOLDER NEWEST_SET
"""

import pathlib
import subprocess
import sys
import warnings

import numpy
import onnx
import onnxruntime
from onnx import numpy_helper

DATA = pathlib.Path("/usr/share/libonnx-testdata/data")
# Per set: models written, of them checked by onnx, of them run by onnxruntime. Each is a floor.
FLOORS = {
    "node": (932, 932, 900),
    "simple": (23, 23, 17),
    "pytorch-converted": (82, 82, 59),
    "pytorch-operator": (35, 35, 24),
    "newest": (1884, 1884, 1415),
}
RANDOM_OPS = {"Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike",
              "RandomUniform", "RandomUniformLike"}


def read_input(path, value_type):
    kind = value_type.WhichOneof("value")
    data = path.read_bytes()
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(data))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(data))
    return numpy_helper.to_array(onnx.TensorProto.FromString(data))


def read_inputs(folder, model):
    names = {i.name for i in model.graph.initializer}
    infos = [i for i in model.graph.input if i.name not in names]
    return {info.name: read_input(folder / "test_data_set_0" / f"input_{i}.pb", info.type)
            for i, info in enumerate(infos)}


def run(path, inputs):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def same(a, b, exact):
    if isinstance(a, list):
        return len(a) == len(b) and all(same(x, y, exact) for x, y in zip(a, b))
    if a is None or b is None:
        return a is b
    a, b = numpy.asarray(a), numpy.asarray(b)
    if a.dtype != b.dtype or a.shape != b.shape:
        return False
    if a.dtype.kind not in "fc":
        return bool((a == b).all())
    if exact:
        return numpy.array_equal(a, b, equal_nan=True)
    return numpy.allclose(a, b, rtol=1e-3 if a.dtype.itemsize < 4 else 1e-5, atol=1e-6,
                          equal_nan=True)


def accepted(path):
    try:
        onnx.checker.check_model(str(path))
        return None
    except Exception as problem:  # whatever the checker has to say
        return str(problem)


def answers(path, inputs):
    try:
        return run(path, inputs), None
    except Exception as problem:  # whatever the runtime has to say
        return None, str(problem)


class Set:
    def __init__(self, cli, scratch):
        self.cli = cli
        self.scratch = scratch
        self.written = self.checked = self.ran = 0
        self.wrong = []

    def save(self, source, extra):
        result = subprocess.run([self.cli, "save", source, self.scratch, *extra],
                                capture_output=True, text=True, timeout=60)
        return None if result.returncode == 0 else result.stderr.strip()

    def judge(self, folder, extra, original):
        source = folder / "model.onnx"
        problem = self.save(source, extra)
        if problem is not None:
            return f"not written: {problem}"
        if original["checked"]:
            problem = accepted(self.scratch)
            if problem is not None:
                return f"onnx.checker: {problem}"
        if original["answers"] is None:
            return None
        found, problem = answers(self.scratch, original["inputs"])
        if found is None:
            return f"onnxruntime: {problem}"
        if not original["random"] and not same(original["answers"], found, bool(extra)):
            return "onnxruntime: other answers"
        return None

    def add(self, folder):
        source = folder / "model.onnx"
        model = onnx.load(source)
        original = {"checked": accepted(source) is None, "answers": None, "inputs": {}}
        original["random"] = any(n.op_type in RANDOM_OPS for n in model.graph.node)
        try:
            original["inputs"] = read_inputs(folder, model)
            original["answers"], _ = answers(source, original["inputs"])
        except Exception:  # data that onnx itself cannot read back
            pass
        self.written += 1
        self.checked += original["checked"]
        self.ran += original["answers"] is not None
        for extra in (["--no-rewrites"], []):
            problem = self.judge(folder, extra, original)
            if problem is not None:
                self.wrong.append(f"{folder.name} {' '.join(extra)}: {problem[:400]}")


def main():
    cli, work, newest = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    warnings.simplefilter("ignore")
    onnxruntime.set_default_logger_severity(4)
    failed = False
    if not DATA.is_dir():
        print("skipped: libonnx-testdata is missing")
        return 77
    for name, floors in FLOORS.items():
        folder = newest / "node" if name == "newest" else DATA / name
        checked = Set(cli, work / "saved.onnx")
        for path in sorted(folder.glob("*/model.onnx")):
            checked.add(path.parent)
        counts = (checked.written, checked.checked, checked.ran)
        print(f"{name}: {counts[0]} written, {counts[1]} accepted by onnx.checker, {counts[2]} run "
              f"by onnxruntime, {len(checked.wrong)} wrong", flush=True)
        for line in checked.wrong:
            print("  " + line)
        failed |= bool(checked.wrong) or any(c < f for c, f in zip(counts, floors))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
