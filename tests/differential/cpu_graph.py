# SPDX-License-Identifier: Apache-2.0
"""A random graph of what the cpu plugin does in ways of its own: blocked layouts, views, sums in
place, joined parts, fused rows, integers.

Sizes are followed here, so nothing is executed while a graph grows. Size BATCH is always the batch,
which a model may leave open.
"""
import dataclasses

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BATCH = 2
OPSET = 21
MAX_ELEMENTS = 30000


@dataclasses.dataclass
class Value:
    name: str
    shape: tuple
    kind: str = "float32"
    array: np.ndarray = None  # of a constant
    step: float = 0.0  # of integers: what one of them is worth
    zero: int = 0
    quantised: int = 0  # roundings on the way here

    @property
    def rank(self):
        return len(self.shape)

    @property
    def count(self):
        return int(np.prod(self.shape, dtype=np.int64))


def proto_of(name, array, proto_type=None):
    if proto_type is None:
        return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
    return helper.make_tensor(name, proto_type, array.shape, array.flatten().tolist())


class Graph:
    def __init__(self, rng):
        self.rng = rng
        self.values, self.inputs, self.nodes, self.initializers = [], [], [], []
        self.read = set()
        self.step = 0.0  # the coarsest quantisation

    # Drawing.

    def chance(self, share):
        return self.rng.random() < share

    def choice(self, options):
        return options[int(self.rng.integers(len(options)))]

    def int(self, low, high):
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def numbers(self, shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    # Values.

    def name(self):
        return f"v{len(self.values) + len(self.initializers)}_{len(self.nodes)}"

    def input(self, shape, array=None):
        value = Value(self.name(), tuple(shape))
        if array is not None:
            value.kind = array.dtype.name
        self.inputs.append((value, self.numbers(shape) if array is None else array))
        self.values.append(value)
        return value

    def constant(self, array, proto_type=None):
        """A constant that no other node is to find."""
        value = Value(self.name(), array.shape, array.dtype.name, array)
        self.initializers.append(proto_of(value.name, array, proto_type))
        return value

    def ints(self, *numbers):
        return self.constant(np.array(numbers, np.int64))

    def weights(self, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        return self.constant(self.numbers(shape, fan ** -0.5))

    def pick(self, rank=None, shape=None, fits=None, make=None, reuse=0.85):
        """A float tensor that is there already, or a new input."""
        found = [v for v in self.values if v.kind == "float32" and
                 (rank is None or v.rank == rank) and (shape is None or v.shape == tuple(shape)) and
                 (fits is None or fits(v))]
        if found and self.chance(reuse):
            return self.choice(found[-3:] if self.chance(0.7) else found)
        return self.input(make() if shape is None else shape)

    def channels(self):
        return self.choice([1, 3, 5, 8, 16, 16, 17, 24, 32, 33])

    def image(self, rank=4, reuse=0.85):
        def make():
            return (BATCH if self.chance(0.4) else 1, self.channels(),
                    *(self.int(3, 9) for _ in range(rank - 2)))
        return self.pick(rank, fits=lambda v: min(v.shape) > 0, make=make, reuse=reuse)

    def matrix(self, low=2, high=4):
        rank = self.int(low, high)

        def make():
            return (BATCH, *(self.choice([1, 3, 4, 7, 16, 17]) for _ in range(rank - 1)))
        return self.pick(rank, fits=lambda v: min(v.shape) > 0, make=make)

    def any(self):
        return self.image() if self.chance(0.5) else self.matrix()

    def node(self, op, inputs, shapes, kinds=None, **attributes):
        """Appends a node; the values of its outputs, one for each shape."""
        if any(np.prod(s, dtype=np.int64) > MAX_ELEMENTS for s in shapes):
            return None
        made = []
        for i, shape in enumerate(shapes):
            value = Value(f"{self.name()}_{i}", tuple(int(s) for s in shape),
                          "float32" if kinds is None else kinds[i])
            value.quantised = max((v.quantised for v in inputs if v is not None), default=0)
            made.append(value)
        self.nodes.append(helper.make_node(op, [v.name if v is not None else "" for v in inputs],
                                           [v.name for v in made], **attributes))
        self.read |= {v.name for v in inputs if v is not None}
        self.values += made
        return made[0] if len(made) == 1 else made

    # The finished graph.

    def results(self):
        """What nobody reads, and now and then what somebody does: also inputs and constants."""
        made = {o for n in self.nodes for o in n.output}
        results = [v for v in self.values
                   if (v.name in made and (v.name not in self.read or self.chance(0.15))) or
                   (v.name not in made and v.name in self.read and self.chance(0.03))]
        return results

    def model(self, results, symbolic):
        used = [(v, a) for v, a in self.inputs
                if v.name in self.read or v.name in {r.name for r in results}]
        types = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32,
                 "int64": TensorProto.INT64, "uint8": TensorProto.UINT8, "int8": TensorProto.INT8}
        infos = [helper.make_tensor_value_info(
            v.name, types[v.kind],
            ["n" if symbolic and i == 0 and d == BATCH else d for i, d in enumerate(v.shape)])
            for v, _ in used]
        outputs = [helper.make_tensor_value_info(v.name, types[v.kind], None) for v in results]
        graph = helper.make_graph(self.nodes, "g", infos, outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 10
        return model, used


def ancestors(graph, name):
    """Names of all values that one is made of, itself included."""
    makers = {o: n for n in graph.nodes for o in n.output}
    seen, todo = set(), [name]
    while todo:
        at = todo.pop()
        if at and at not in seen:
            seen.add(at)
            todo += makers[at].input if at in makers else []
    return seen


__all__ = ["BATCH", "Graph", "Value", "ancestors", "onnx"]
