#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of model_run_fuzz: tiny models with nested graphs, sequences and functions.

    write_seeds.py FOLDER        (corpus/model_run holds what it writes)
"""
import pathlib
import sys

import onnx
from onnx import parser

DOMAINS = ("local", "test.fake", "ai.onnx.preview.training")
HEAD = '<ir_version: 9, opset_import: ["" : 18{extra}]>\n'

MODELS = {
    "if-nested": '''g (bool c, float[N,2] x) => (float[M,K] y) {
        y = If (c) <
            then_branch = a () => (float[M,K] p) {
                p = If (c) <then_branch = b () => (float[M,K] q) { q = Add (x, x) },
                            else_branch = d () => (float[M,K] r) { r = Neg (x) }>
            },
            else_branch = e () => (float[M,K] s) { s = Transpose (x) }>
    }''',
    "loop-scan-output": '''g (int64 trips, float[2] x) => (float[2] y, float[T,2] all) {
        go = Constant <value = bool {1}> ()
        y, all = Loop (trips, go, x) <body = b (int64 i, bool c, float[2] s)
            => (bool c2, float[2] s2, float[2] o) {
                c2 = Identity (c)
                s2 = Add (s, x)
                o = Mul (s2, x)
            }>
    }''',
    "loop-endless": '''g (float[2] x) => (float[2] y) {
        trips = Constant <value = int64 {4611686018427387904}> ()
        y = Loop (trips, "", x) <body = b (int64 i, bool c, float[2] s)
            => (bool c, float[2] s2) { s2 = Neg (s) }>
    }''',
    "loop-growing": '''g (int64 trips, float[N] x) => (float[M] y) {
        y = Loop (trips, "", x) <body = b (int64 i, bool c, float[K] s)
            => (bool c2, float[L] s2) { c2 = Identity (c) s2 = Concat <axis = 0> (s, s) }>
    }''',
    "scan": '''g (float[2] s, float[3,2] x) => (float[2] y, float[3,2] z) {
        y, z = Scan (s, x) <num_scan_inputs = 1, scan_input_directions = [1],
            body = b (float[2] a, float[2] r) => (float[2] a2, float[2] o) {
                a2 = Add (a, r)
                o = Relu (a2)
            }>
    }''',
    "sequence": '''g (float[N,3] x, int64 i) => (float[A,B] y, int64 n) {
        one = Constant <value = int64 {1}> ()
        parts = SplitToSequence <axis = 0> (x, one)
        more = SequenceInsert (parts, x)
        fewer = SequenceErase (more, i)
        n = SequenceLength (fewer)
        y = ConcatFromSequence <axis = 0> (fewer)
    }''',
    "sequence-in-loop": '''g (int64 trips, float[2] x) => (float[T,2] y) {
        empty = SequenceEmpty <dtype = 1> ()
        all = Loop (trips, "", empty) <body = b (int64 i, bool c, seq(float[2]) s)
            => (bool c2, seq(float[2]) s2) { c2 = Identity (c) s2 = SequenceInsert (s, x) }>
        y = ConcatFromSequence <axis = 0, new_axis = 1> (all)
    }''',
    "optional": '''g (float[2] x) => (float[2] y, bool b) {
        o = Optional (x)
        b = OptionalHasElement (o)
        y = OptionalGetElement (o)
    }''',
    "function-nested": '''g (float[N] x) => (float[N] y) { y = local.outer (x) }
    <domain: "local", opset_import: ["" : 18, "local" : 1]>
    outer (a) => (b) {
        c = local.inner <scale: float = 2.0> (a)
        b = local.inner <scale: float = 0.5> (c)
    }
    <domain: "local", opset_import: ["" : 18]>
    inner <scale> (a) => (b) {
        k = Constant <value_float: float = @scale> ()
        b = Mul (a, k)
    }''',
    "function-with-if": '''g (float[N] x, bool c) => (float[N] y) { y = local.pick (x, c) }
    <domain: "local", opset_import: ["" : 18]>
    pick (a, c) => (b) {
        b = If (c) <then_branch = t () => (p) { p = Neg (a) },
                    else_branch = e () => (q) { q = Abs (a) }>
    }''',
    "function-known": '''g (float[N] x, float[2] z) => (float[N] y, float[2] w) {
        n = Neg (x)
        y = test.fake.AddRelu <k = 7> (n, x)
        w = local.outer (z)
    }
    <domain: "local", opset_import: ["" : 18, "test.fake" : 1]>
    outer (a) => (b) {
        c = test.fake.AddRelu (a, a)
        d = Softsign (c)
        b = test.fake.AddRelu (d, a)
    }
    <domain: "test.fake", opset_import: ["" : 18]>
    AddRelu <k: int = 1> (a, b) => (r) {
        t = Identity (a)
        s = Add (t, b)
        r = Relu (s)
    }''',
    "sizes-from-data": '''g (float[N] x) => (float[M] y, float[K] z) {
        i = NonZero (x)
        two = Constant <value = int64[2] {-1, 1}> ()
        j = Reshape (i, two)
        y = GatherND (x, j)
        n = Size (y)
        one = Constant <value = int64[1] {1}> ()
        s = Reshape (n, one)
        z = ConstantOfShape (s)
    }''',
    "gradient": '''g (float[2,3] x, float[3,2] w, float[2] b) => (float[2,3] p, float[3,2] q, float[2] r) {
        m = MatMul (x, w)
        a = Add (m, b)
        t = Transpose <perm = [1, 0]> (a)
        s = Softmax <axis = 0> (t)
        e = Sub (s, b)
        y = ReduceMean <axes = [0], keepdims = 0> (e)
        r = ai.onnx.preview.training.Gradient <xs = ["b"], y = "y"> (b)
        p, q = ai.onnx.preview.training.Gradient <xs = ["x", "w"], zs = ["b"], y = "y"> (x, w, r)
    }''',
    "expand-huge": '''g (float[1] x) => (float[M] y) {
        s = Constant <value = int64[1] {1099511627776}> ()
        y = Expand (x, s)
    }''',
}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in MODELS.items():
        extra = "".join(f', "{d}" : 1' for d in DOMAINS if f"{d}." in text)
        model = parser.parse_model(HEAD.replace("{extra}", extra) + text)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
    print(f"onnx {onnx.__version__}: {len(MODELS)} seeds in {folder}")


if __name__ == "__main__":
    main()
