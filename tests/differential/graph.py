# SPDX-License-Identifier: Apache-2.0
"""A random graph under construction: every node is executed by onnxruntime as soon as it is added,
so that the next one can be chosen for what its operands really are.

How far two right implementations may be apart is tracked along: an exact value has the same bits in
both. A value that is not exact must not meet an op that is discontinuous or steep.
"""
import dataclasses

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

onnxruntime.set_default_logger_severity(4)
OPSETS = [13, 17, 18, 20, 21, 22, 23, 24]
MAX_ELEMENTS = 4096
MAX_MAGNITUDE = 1e6  # of a value that is not exact
EPSILON = {"float32": 2.0 ** -23, "float64": 2.0 ** -52, "float16": 2.0 ** -10}
FLOATS = ["float32"] * 8 + ["float64"] * 2 + ["float16"]
INTS = ["int64", "int32", "int8", "uint8", "int16", "uint16", "uint32", "uint64"]


class Rejected(Exception):
    """The node is not one that onnxruntime runs, or its result is of no use."""


@dataclasses.dataclass
class Value:
    name: str
    array: np.ndarray
    error: float = 0.0  # how far apart results may be, in units of the last place of scale
    scale: float = 0.0  # the largest magnitude that went into it
    constant: bool = False

    @property
    def dtype(self):
        return self.array.dtype.name

    @property
    def shape(self):
        return self.array.shape

    @property
    def rank(self):
        return self.array.ndim

    @property
    def exact(self):
        return self.error == 0.0


def magnitude(array):
    """The largest finite magnitude."""
    if array.dtype.kind not in "fiu" or array.size == 0:
        return 1.0
    finite = np.abs(array[np.isfinite(array)].astype(np.float64)) if array.dtype.kind == "f" \
        else np.abs(array.astype(np.float64))
    return float(finite.max()) if finite.size else 1.0


def type_of(array):
    return helper.np_dtype_to_tensor_dtype(array.dtype)


def info(name, array, dims=None):
    return helper.make_tensor_value_info(name, type_of(array),
                                         array.shape if dims is None else dims)


def exists(op, domain, opset):
    """Whether the standard has the op in this opset: onnxruntime has more."""
    try:
        return not onnx.defs.get_schema(op, opset, domain).deprecated
    except onnx.defs.SchemaError:
        return False


def make_model(nodes, inputs, outputs, constants, opset):
    graph = helper.make_graph(nodes, "g", inputs, outputs,
                              [numpy_helper.from_array(np.ascontiguousarray(a).reshape(a.shape), n)
                               for n, a in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 10
    return model


def session(model):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def run_reference(model, feeds):
    return session(model).run(None, feeds)


class Graph:
    def __init__(self, rng, opset=None, outer=None):
        self.rng = rng
        self.opset = opset or OPSETS[rng.integers(len(OPSETS))]
        self.outer = outer
        self.values, self.leaves, self.nodes = [], [], []
        self.counter = outer.counter if outer else [0]
        self.arrays = outer.arrays if outer else {}  # by name, those of bodies included

    # Drawing.

    def chance(self, share):
        return self.rng.random() < share

    def choice(self, options):
        return options[int(self.rng.integers(len(options)))]

    def int(self, low, high):
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def shape(self, rank=None, low=1, high=5):
        rank = self.int(0, 4) if rank is None else rank
        dims = [self.int(low, high) for _ in range(rank)]
        if rank and self.chance(0.02):
            dims[self.int(0, rank - 1)] = 0
        return tuple(dims)

    def numbers(self, dtype, shape, low=None, high=None, special=True):
        """Floats of all kinds, or integers from a small range; bounds turn special values off."""
        kind = np.dtype(dtype).kind
        if kind == "b":
            return self.rng.random(shape) < 0.5
        if kind in "iu":
            least = max(np.iinfo(dtype).min, -9) if low is None else low
            most = 9 if high is None else high
            return self.rng.integers(least, most + 1, shape).astype(dtype)
        if low is not None:
            return self.rng.uniform(low, high, shape).astype(dtype)
        draw = (self.rng.standard_normal(shape) * 2 if self.chance(0.6)
                else self.rng.integers(-16, 17, shape) / 4).astype(dtype)
        if special and self.chance(0.04) and draw.size:
            draw.flat[self.int(0, draw.size - 1)] = self.choice([np.nan, np.inf, -np.inf, -0.0])
        return np.asarray(draw)

    # Values.

    def name(self):
        self.counter[0] += 1
        return f"v{self.counter[0]}"

    def leaf(self, array, constant=None):
        """A new input or constant."""
        if self.outer is not None:
            constant = True
        array = np.asarray(array)
        constant = self.chance(0.35) if constant is None else constant
        value = Value(self.name(), array, 0.0, magnitude(array), constant)
        self.values.append(value)
        self.leaves.append(value)
        self.arrays[value.name] = array
        return value

    def const(self, array, dtype="int64"):
        """Operands that describe the op: mostly constants, now and then computed."""
        return self.leaf(np.asarray(array, dtype), self.chance(0.9))

    def visible(self):
        return self.values + (self.outer.visible() if self.outer else [])

    def pick(self, dtypes, shape=None, rank=None, low_rank=0, exact=False, finite=False, low=None,
             high=None, reuse=0.6):
        """An operand: one that is there already, or a new leaf."""
        fits = [v for v in self.visible()
                if v.dtype in dtypes and (shape is None or v.shape == tuple(shape)) and
                (rank is None or v.rank == rank) and v.rank >= low_rank and
                (v.exact or not exact) and
                (not finite or v.array.dtype.kind != "f" or np.isfinite(v.array).all()) and
                (low is None or v.array.size == 0 or
                 (v.array >= low).all() and (v.array <= high).all())]
        if fits and self.chance(reuse):
            return self.choice(fits[-4:] if self.chance(0.7) else fits)
        if shape is None:
            shape = self.shape(self.int(low_rank, max(low_rank, 4)) if rank is None else rank)
        return self.leaf(self.numbers(self.choice(dtypes), shape, low, high, not finite))

    def add(self, op, inputs, outputs=1, error=0.0, inside=0.0, product=False, captured=(),
            domain="", **attributes):
        """Appends a node; one Value or a list. error: what the op itself adds, in units. inside:
        how large numbers get on the way to a small result. product: errors of one operand are
        multiplied by the others."""
        if not exists(op, domain, self.opset):
            raise Rejected(f"{op}: not in opset {self.opset}")
        names = [self.name() for _ in range(outputs)]
        node = helper.make_node(op, [i.name if i is not None else "" for i in inputs], names,
                                domain=domain, **attributes)
        operands = list({v.name: v for v in [*inputs, *captured] if v is not None}.values())
        arrays = self.execute(node, operands, names)
        own = max([v.error for v in operands], default=0.0) + error
        scales = [max(v.scale, 1e-30) for v in operands if v.array.dtype.kind == "f"]
        grown = float(np.prod(scales)) if product and scales else 0.0
        results = []
        for name, array in zip(names, arrays):
            if not isinstance(array, np.ndarray):
                array = np.asarray(array)
            scale = max([magnitude(array), grown, inside, *scales])
            inexact = array.dtype.kind == "f" and own > 0
            if array.size > MAX_ELEMENTS or inexact and scale > MAX_MAGNITUDE:
                raise Rejected(f"{op}: too large")
            results.append(Value(name, array, own if inexact else 0.0, scale))
            self.arrays[name] = array
        self.nodes.append(node)
        self.values += results
        return results[0] if outputs == 1 else results

    def execute(self, node, operands, names):
        """The outputs of one node, by onnxruntime."""
        variable = [v for v in operands if not v.constant]
        constant = [(v.name, v.array) for v in operands if v.constant]
        model = make_model([node], [info(v.name, v.array) for v in variable],
                           [helper.make_empty_tensor_value_info(n) for n in names], constant,
                           self.opset)
        try:
            return run_reference(model, {v.name: v.array for v in variable})
        except Exception as why:  # onnxruntime has no narrower base class for all its errors
            raise Rejected(f"{node.op_type}: {str(why)[:300]}") from None

    # The finished graph.

    def results(self):
        """What the model gives back: all node outputs, so that the first wrong one is seen."""
        made = {name for node in self.nodes for name in node.output}
        return [v for v in self.values if v.name in made]

    def model(self, symbolic=False):
        used = {name for node in self.nodes for name in captures(node)}
        inputs = [v for v in self.leaves if not v.constant and v.name in used]
        dims = {v.name: [f"{v.name}_{i}" for i in range(v.rank)] if symbolic else None
                for v in inputs}
        return make_model(self.nodes, [info(v.name, v.array, dims[v.name]) for v in inputs],
                          [helper.make_tensor_value_info(v.name, type_of(v.array), None)
                           for v in self.results()],
                          [(v.name, v.array) for v in self.leaves if v.constant and v.name in used],
                          self.opset), inputs


def captures(node):
    """The names a node reads, those that its bodies read from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            body = attribute.g
            inside = {i.name for i in body.input} | {i.name for i in body.initializer}
            inside |= {o for n in body.node for o in n.output}
            read = {name for n in body.node for name in captures(n)}
            read |= {o.name for o in body.output}
            names |= read - inside
    return names - {""}
