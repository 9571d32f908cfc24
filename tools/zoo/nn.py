# SPDX-License-Identifier: Apache-2.0
"""The layers that the models are written in: each adds nodes and seeded weights to a Net.

A value in a network is a Tensor: the ONNX name, plus the number of features on its feature axis, so
that a layer needs to be told only what comes out. Names of nodes and weights follow the scopes they
are made in. Weights are drawn so that activations keep their size from layer to layer.
"""
import contextlib
import dataclasses
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32


@dataclasses.dataclass
class Model:
    """A model and functions that draw its inputs: rng -> {input name: array}, one a data set."""

    proto: onnx.ModelProto
    cases: list


class Tensor(str):
    """The name of a value; features counts its channels (axis 1 of images, the last one of
    sequences)."""

    features = None

    def __new__(cls, name, features=None):
        self = super().__new__(cls, name)
        self.features = features
        return self


class Net:
    """One network under construction."""

    def __init__(self, name, seed, opset=17):
        self.name, self.opset = name, opset
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []
        self.path, self.used = [], {}
        self.constants = {}

    # Names, weights and nodes.

    @contextlib.contextmanager
    def scope(self, name):
        self.path.append(str(name))
        yield
        self.path.pop()

    def unique(self, kind):
        name = ".".join(self.path + [kind])
        count = self.used[name] = self.used.get(name, 0) + 1
        return name if count == 1 else f"{name}{count}"

    def weight(self, array, kind="weight", dtype=np.float32):
        name = self.unique(kind)
        self.weights.append(numpy_helper.from_array(np.asarray(array).astype(dtype), name))
        return name

    def normal(self, shape, deviation, kind="weight"):
        draw = self.rng.standard_normal(shape, np.float32)
        return self.weight(draw * np.float32(deviation), kind)

    def uniform(self, shape, low, high, kind):
        return self.weight(self.rng.uniform(low, high, shape), kind)

    def const(self, value, dtype=np.int64):
        """A small constant; equal ones are shared."""
        array = np.asarray(value, dtype)
        key = (array.tobytes(), array.shape, array.dtype.str)
        if key not in self.constants:
            self.constants[key] = f"const{len(self.constants)}"
            self.weights.append(numpy_helper.from_array(array, self.constants[key]))
        return self.constants[key]

    def number(self, value):
        return self.const(value, np.float32)

    def op(self, op_type, *inputs, features=None, outputs=1, **attributes):
        """One node. Its result has as many features as its first input unless told otherwise."""
        name = self.unique(op_type.lower())
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op_type, [str(i) for i in inputs], names, name=name,
                                           **attributes))
        features = features or getattr(inputs[0] if inputs else "", "features", None)
        results = [Tensor(n, features) for n in names]
        return results[0] if outputs == 1 else results

    def input(self, name, shape, dtype=FLOAT, features=None):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return Tensor(name, features)

    def output(self, name, value, shape, dtype=FLOAT):
        self.nodes.append(helper.make_node("Identity", [str(value)], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    @contextlib.contextmanager
    def body(self, name):
        """Collects the nodes made inside as a graph without inputs; weights stay outside."""
        outer, self.nodes = self.nodes, []
        graph = onnx.GraphProto(name=name)
        with self.scope(name):
            yield graph
        graph.node.extend(self.nodes)
        self.nodes = outer

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  producer_name="tenon-zoo")
        model.ir_version = 8 if self.opset < 21 else 10
        onnx.checker.check_model(model)
        return model

    # Images: [batch, features, height, width].

    def conv(self, x, features, kernel, stride=1, group=1, bias=False, pad=None, same=False,
             gain=2.0):
        """Convolution, as padded as its kernel asks. gain 2 suits the ReLU that follows."""
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        fan_in = x.features // group * rows * columns
        shape = (features, x.features // group, rows, columns)
        operands = [x, self.normal(shape, math.sqrt(gain / fan_in))]
        if bias:
            operands.append(self.normal(features, 0.05, "bias"))
        padding = [rows // 2, columns // 2] * 2 if pad is None else [pad] * 4
        place = {"auto_pad": "SAME_UPPER"} if same else {"pads": padding}
        return self.op("Conv", *operands, kernel_shape=[rows, columns], strides=[stride] * 2,
                       group=group, features=features, **place)

    def batch_norm(self, x, gain=1.0, epsilon=1e-5):
        """Ioffe and Szegedy 2015, with statistics such as training leaves them."""
        n = x.features
        return self.op("BatchNormalization", x,
                       self.uniform(n, 0.8 * gain, 1.2 * gain, "bn.scale"),
                       self.normal(n, 0.05, "bn.bias"), self.normal(n, 0.05, "bn.mean"),
                       self.uniform(n, 0.8, 1.2, "bn.var"), epsilon=epsilon)

    def relu(self, x):
        return self.op("Relu", x)

    def relu6(self, x):
        return self.op("Clip", x, self.number(0.0), self.number(6.0))

    def swish(self, x):
        """Ramachandran et al. 2017: x sigmoid(x); as exporters write it, two nodes."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def max_pool(self, x, kernel, stride, pad=0, **attributes):
        return self.op("MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                       pads=[pad] * 4, **attributes)

    def average_pool(self, x, kernel, stride, pad=0):
        return self.op("AveragePool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                       pads=[pad] * 4)

    def concat(self, tensors, axis=1):
        total = sum(t.features for t in tensors) if tensors[0].features else None
        return self.op("Concat", *tensors, axis=axis, features=total)

    def classifier(self, x, classes, gain):
        """Global average pooling and one dense layer. Rows that sum to 0 see only what differs
        between features, not how large all of them are."""
        x = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        w = self.rng.standard_normal((classes, x.features), np.float32)
        w = self.weight((w - w.mean(1, keepdims=True)) * gain / math.sqrt(x.features))
        return self.op("Gemm", x, w, self.normal(classes, 0.1, "bias"), transB=1, features=classes)

    # Sequences: [batch, time, features].

    def dense(self, x, features, bias=True, gain=1.0):
        w = self.normal((x.features, features), math.sqrt(gain / x.features))
        y = self.op("MatMul", x, w, features=features)
        return self.op("Add", y, self.normal(features, 0.02, "bias")) if bias else y

    def layer_norm(self, x, epsilon=1e-5):
        n = x.features
        return self.op("LayerNormalization", x, self.uniform(n, 0.8, 1.2, "ln.scale"),
                       self.normal(n, 0.05, "ln.bias"), axis=-1, epsilon=epsilon)

    def gelu(self, x):
        """Hendrycks and Gimpel 2016, by the error function, as exporters write it."""
        inside = self.op("Erf", self.op("Div", x, self.number(math.sqrt(2.0))))
        y = self.op("Mul", x, self.op("Add", inside, self.number(1.0)))
        return self.op("Mul", y, self.number(0.5))

    def embedding(self, ids, words, features, deviation=1.0):
        table = self.normal((words, features), deviation, "embedding")
        return self.op("Gather", table, ids, features=features), table

    def heads(self, x, count):
        """[batch, time, features] to [batch, head, time, features of a head]."""
        size = x.features // count
        y = self.op("Reshape", x, self.const([0, 0, count, size]), features=size)
        return self.op("Transpose", y, perm=[0, 2, 1, 3])

    def merge_heads(self, x, count):
        """The way back."""
        y = self.op("Transpose", x, perm=[0, 2, 1, 3])
        return self.op("Reshape", y, self.const([0, 0, count * x.features]),
                       features=count * x.features)

    def attend(self, q, k, v, mask=None):
        """Vaswani et al. 2017, equation 1; mask is added to the scores."""
        scores = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.number(1.0 / math.sqrt(q.features)))
        if mask is not None:
            scores = self.op("Add", scores, mask)
        return self.op("MatMul", self.op("Softmax", scores, axis=-1), v, features=v.features)

    def self_attention(self, x, count, mask=None):
        q, k, v = (self.heads(self.dense(x, x.features), count) for _ in range(3))
        return self.dense(self.merge_heads(self.attend(q, k, v, mask), count), x.features)

    def feed_forward(self, x, inner):
        return self.dense(self.gelu(self.dense(x, inner, gain=2.0)), x.features)
