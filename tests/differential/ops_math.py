# SPDX-License-Identifier: Apache-2.0
"""Elementwise ops, reductions, and what is close to them."""
import numpy as np

from graph import FLOATS, INTS
from ops import generator

NUMBERS = FLOATS + INTS[:4] + INTS
SIGNED = ["int64", "int32", "int8", "int16"]
ULP = 32.0  # what an elementwise function may be off in each implementation, together


@generator("Sin Cos Tanh Erf Sigmoid Softplus Softsign Atan Asinh Mish Gelu Exp Cosh Sinh "
           "HardSwish")
def smooth(g, op):
    x = g.pick(FLOATS, low=-8, high=8) if op in ("Exp", "Cosh", "Sinh") else g.pick(FLOATS)
    attributes = {"approximate": g.choice(["none", "tanh"])} if op == "Gelu" else {}
    g.add(op, [x], error=ULP * (60 if op in ("Exp", "Cosh", "Sinh") else 1), **attributes)


@generator("Acos Acosh Asin Atanh Log Reciprocal Sqrt Tan")
def steep(g, op):
    low, high = {"Acosh": (1, 5), "Log": (0.1, 9), "Sqrt": (0, 9), "Reciprocal": (None, None),
                 "Tan": (-1.4, 1.4)}.get(op, (-1, 1))
    if g.chance(0.1):
        low = high = None
    g.add(op, [g.pick(FLOATS, exact=True, low=low, high=high)], error=ULP)


@generator("Abs Neg Relu Identity")
def exact_unary(g, op):
    g.add(op, [g.pick(FLOATS + SIGNED)])


@generator("Ceil Floor Round Sign IsNaN")
def sharp_unary(g, op):
    g.add(op, [g.pick(FLOATS + (SIGNED if op == "Sign" else []), exact=True)])


@generator("IsInf")
def is_inf(g, op):
    x = g.pick(["float32", "float64"], exact=True)
    g.add(op, [x], detect_negative=g.int(0, 1), detect_positive=g.int(0, 1))


@generator("Celu Elu LeakyRelu ThresholdedRelu Selu HardSigmoid Shrink Swish")
def shaped(g, op):
    attributes = {}
    if g.chance(0.7):
        attributes["alpha"] = float(g.rng.uniform(0.1, 2.0))
    if op == "Selu":
        attributes["gamma"] = 1.5
    if op == "HardSigmoid":
        attributes["beta"] = 0.25
    if op == "Shrink":
        attributes = {"lambd": 0.75, "bias": g.choice([0.0, 0.5])}
    inside = 1.0 if op in ("Celu", "Elu", "Selu") else 0.0  # exp(x) - 1
    g.add(op, [g.pick(FLOATS, exact=op in ("Shrink", "ThresholdedRelu"))], error=ULP,
          inside=inside, **attributes)


def broadcast_pair(g, dtypes, **pick):
    """Two operands of one type whose shapes broadcast."""
    a = g.pick(dtypes, **pick)
    shape = list(a.shape)[g.int(0, a.rank):]
    shape = [1 if g.chance(0.25) else d for d in shape]
    b = g.pick([a.dtype], shape=shape if g.chance(0.7) else a.shape, **pick)
    return (a, b) if g.chance(0.5) else (b, a)


@generator("Add Sub Mul")
def arithmetic(g, op):
    a, b = broadcast_pair(g, NUMBERS)
    g.add(op, [a, b], error=0.0 if a.exact and b.exact and a.dtype != "float16" else 1.0,
          product=op == "Mul")


@generator("Div")
def divide(g, op):
    a, b = broadcast_pair(g, NUMBERS, exact=True)
    if a.array.dtype.kind in "iu" and not b.array.all():
        b = g.leaf(np.where(b.array == 0, 3, b.array).astype(b.dtype))
    g.add(op, [a, b], error=1.0)


@generator("Mod")
def modulo(g, op):
    fmod = g.int(0, 1)
    a, b = broadcast_pair(g, (FLOATS if fmod else []) + INTS, exact=True, finite=True)
    b = g.leaf(np.where(b.array == 0, 3, b.array).astype(b.dtype))
    g.add(op, [a, b], fmod=fmod, error=1.0 if a.dtype == "float16" else 0.0)


@generator("Pow")
def power(g, op):
    a = g.pick(["float32", "float64", "int32", "int64"], exact=True, finite=True)
    low, high = (0, 3) if a.array.dtype.kind == "i" else (None, None)
    b = g.pick(["float32", "float64", "int32", "int64"] if low is None else ["int32", "int64"],
               shape=g.choice([(), a.shape]), exact=True, low=low, high=high, finite=True)
    if a.array.dtype.kind == "f" and b.array.dtype.kind == "f":
        a = g.leaf(np.abs(a.array) + np.asarray(0.25, a.dtype))
    elif np.abs(a.array.astype(np.float64)).max(initial=0.0) > 1e3 and low is not None:
        return  # a cube that overflows is nobody's to define
    g.add(op, [a, b], error=ULP * 8)


@generator("Equal Greater GreaterOrEqual Less LessOrEqual")
def compare(g, op):
    g.add(op, list(broadcast_pair(g, NUMBERS + (["bool"] if op == "Equal" else []), exact=True)))


@generator("And Or Xor")
def logic(g, op):
    g.add(op, list(broadcast_pair(g, ["bool"])))


@generator("Not")
def negate(g, op):
    g.add(op, [g.pick(["bool"])])


@generator("BitwiseAnd BitwiseOr BitwiseXor")
def bitwise(g, op):
    g.add(op, list(broadcast_pair(g, INTS)))


@generator("BitwiseNot")
def bitwise_not(g, op):
    g.add(op, [g.pick(INTS)])


@generator("BitShift")
def bit_shift(g, op):
    a, b = broadcast_pair(g, ["uint8", "uint16", "uint32", "uint64"], low=0, high=7)
    g.add(op, [a, b], direction=g.choice(["LEFT", "RIGHT"]))


@generator("PRelu")
def prelu(g, op):
    a = g.pick(FLOATS)
    shape = [1 if g.chance(0.4) else d for d in a.shape[g.int(0, a.rank):]]
    g.add(op, [a, g.pick([a.dtype], shape=shape)], error=1.0, product=True)


@generator("Max Min Sum Mean")
def fold(g, op):
    a, b = broadcast_pair(g, FLOATS if op in ("Sum", "Mean") else NUMBERS)
    operands = [a, b][:g.int(1, 2)] + [a] * g.int(0, 1)
    g.add(op, operands, error=2.0 if op in ("Sum", "Mean") else 0.0)


@generator("Where")
def where(g, op):
    a, b = broadcast_pair(g, FLOATS + INTS + ["bool"])
    shape = np.broadcast_shapes(a.shape, b.shape)
    g.add(op, [g.pick(["bool"], shape=[1 if g.chance(0.2) else d for d in shape]), a, b])


@generator("Clip")
def clip(g, op):
    x = g.pick(NUMBERS)
    low, high = (g.leaf(np.asarray(v, x.dtype)) if g.chance(0.7) else None for v in (1, 4))
    g.add(op, [x, low, high] if high else [x, low] if low else [x])


@generator("Cast CastLike")
def cast(g, op):
    x = g.pick(NUMBERS + ["bool"], exact=True, finite=True)
    to = g.choice(["float32", "float64", "float16", "bool"] + INTS)
    if x.array.dtype.kind == "f" and np.dtype(to).kind in "iu":  # beyond it nothing is defined
        limits = np.iinfo(to)
        x = g.leaf(np.clip(x.array, max(limits.min, -99), min(limits.max, 99)))
    if op == "Cast":
        from onnx import helper
        g.add(op, [x], to=helper.np_dtype_to_tensor_dtype(np.dtype(to)))
    else:
        g.add(op, [x, g.leaf(np.zeros(1, to))])


REDUCE_EXACT = ("ReduceMax", "ReduceMin")


@generator("ReduceMax ReduceMin ReduceSum ReduceMean ReduceProd ReduceL1 ReduceL2 ReduceLogSum "
           "ReduceLogSumExp ReduceSumSquare")
def reduce(g, op):
    bounds = {"ReduceLogSum": (0.1, 4), "ReduceProd": (-2, 2), "ReduceLogSumExp": (-8, 8)}.get(
        op, (None, None))
    rounded = op in ("ReduceLogSum", "ReduceLogSumExp", "ReduceL2")  # for integers nobody says how
    dtypes = FLOATS if rounded else FLOATS + ["int32", "int64"]
    x = g.pick(dtypes, low_rank=0, low=bounds[0], high=bounds[1],
               exact=op in ("ReduceLogSum", "ReduceL2"))
    if 0 in x.shape:
        return  # nothing that follows would fit: known.py, reduce-nothing
    axes = [g.choice([a, a - x.rank]) for a in range(x.rank) if g.chance(0.5)]
    attributes = {"keepdims": g.int(0, 1)}
    operands = [x]
    as_input = g.opset >= (13 if op == "ReduceSum" else 18)
    if as_input and (axes or g.chance(0.5)):
        attributes["noop_with_empty_axes"] = g.int(0, 1)
        operands.append(g.const(np.array(axes, np.int64)))
    elif axes:
        attributes["axes"] = axes
    g.add(op, operands, error=0.0 if op in REDUCE_EXACT else ULP * 2,
          product=op in ("ReduceSumSquare", "ReduceProd"), **attributes)


@generator("ArgMax ArgMin")
def arg_reduce(g, op):
    x = g.pick(["float32", "float64", "int32", "int8", "uint8"], low_rank=1, exact=True,
               finite=True)
    if 0 in x.shape:
        return
    g.add(op, [x], axis=g.int(-x.rank, x.rank - 1), keepdims=g.int(0, 1),
          select_last_index=g.int(0, 1))


@generator("CumSum")
def cumulate(g, op):
    x = g.pick(["float32", "float64", "int32", "int64"], low_rank=1)
    g.add(op, [x, g.const(g.int(-x.rank, x.rank - 1))], exclusive=g.int(0, 1),
          reverse=g.int(0, 1), error=4.0)


@generator("Softmax LogSoftmax")
def softmax(g, op):
    x = g.pick(FLOATS, low_rank=1, finite=True)
    g.add(op, [x], axis=g.int(-x.rank, x.rank - 1), error=ULP)


@generator("Hardmax")
def hardmax(g, op):
    x = g.pick(FLOATS, low_rank=1, exact=True, finite=True)
    g.add(op, [x], axis=g.int(-x.rank, x.rank - 1))


@generator("MatMul MatMulInteger")
def matmul(g, op):
    integer = op == "MatMulInteger"
    a = g.pick(["uint8", "int8"] if integer else FLOATS + ["int32", "int64"], low_rank=1)
    inner = a.shape[-1]
    if integer and inner == 0:
        return  # onnxruntime does not write its output
    tail = [inner] if g.chance(0.15) else [inner, g.int(1, 5)]
    head = list(a.shape[:-2]) if len(tail) == 2 else []
    head = [1 if g.chance(0.2) else d for d in head[g.int(0, len(head)):]]
    b = g.pick(["uint8", "int8"] if integer else [a.dtype], shape=head + tail)
    points = [g.leaf(np.asarray(g.int(0, 5), v.dtype)) for v in (a, b)][:g.int(0, 2)]
    g.add(op, [a, b] + points if integer else [a, b], error=ULP, product=True)


@generator("Gemm")
def gemm(g, op):
    a = g.pick(FLOATS, rank=2)
    flip_a, flip_b = g.int(0, 1), g.int(0, 1)
    rows, inner = a.shape[::-1] if flip_a else a.shape
    columns = g.int(1, 5)
    b = g.pick([a.dtype], shape=(columns, inner) if flip_b else (inner, columns))
    c = g.pick([a.dtype], shape=g.choice([(), (columns,), (rows, 1), (rows, columns)]))
    g.add(op, [a, b, c][:g.int(2, 3)], transA=flip_a, transB=flip_b, alpha=g.choice([1.0, 0.5]),
          beta=g.choice([1.0, 0.25]), error=ULP, product=True)


@generator("Einsum")
def einsum(g, op):
    i, j, k, b = (g.int(1, 4) for _ in range(4))
    equation, shapes = g.choice([
        ("ij,jk->ik", [(i, j), (j, k)]), ("bij,bjk->bik", [(b, i, j), (b, j, k)]),
        ("ij->ji", [(i, j)]), ("ii->i", [(i, i)]), ("ij->", [(i, j)]), ("i,j->ij", [(i,), (j,)]),
        ("...ij,...jk->...ik", [(b, i, j), (b, j, k)]), ("bij,ij->b", [(b, i, j), (i, j)]),
        ("bhid,bhjd->bhij", [(b, 2, i, k), (b, 2, j, k)]), ("ij", [(i, j)])])
    dtype = g.choice(["float32", "float64", "int32", "int64"])
    g.add(op, [g.pick([dtype], shape=s) for s in shapes], equation=equation, error=ULP,
          product=True)


@generator("Det")
def det(g, op):
    n = g.int(1, 4)
    g.add(op, [g.pick(["float32"], shape=g.shape(g.int(0, 2), 1, 3) + (n, n), finite=True)],
          error=ULP * 64, product=True)
