# SPDX-License-Identifier: Apache-2.0
"""If, Loop, Scan and sequences, with random bodies that read values from outside."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from graph import Graph, Rejected, captures, info, type_of
from ops import GENERATORS, generator

FLOW = ("If", "Loop", "Scan", "SequenceAt", "SplitToSequence", "ConcatFromSequence")


def grow(body, count):
    """Adds nodes to a body; what does not work out is left out."""
    names = [n for n in GENERATORS if n not in FLOW]
    tries = 0
    while len(body.nodes) < count and tries < 4 * count:
        name = body.choice(names)
        tries += 1
        try:
            GENERATORS[name](body, name)
        except Rejected:
            continue


def close(body, name, inputs, outputs):
    """The GraphProto of a body whose outputs are these values."""
    used = {n for node in body.nodes for n in captures(node)} | {o.name for o in outputs}
    constants = [numpy_helper.from_array(v.array, v.name) for v in body.leaves if v.name in used]
    return helper.make_graph(body.nodes, name, inputs,
                             [helper.make_tensor_value_info(o.name, type_of(o.array), None)
                              for o in outputs], constants)


def outside(g, graphs):
    """Values of the graph around that the bodies read."""
    names = {n for graph in graphs
             for n in captures(helper.make_node("If", [], [], then_branch=graph))}
    return [v for v in g.visible() if v.name in names]


def returned(body, value, taken=()):
    """An output of a body is made inside of it, and is no other output as well."""
    made = {o for node in body.nodes for o in node.output}
    return value if value.name in made and value not in taken else body.add("Identity", [value])


@generator("If")
def if_(g, op):
    bodies = [Graph(g.rng, g.opset, g) for _ in range(2)]
    for body in bodies:
        grow(body, g.int(1, 3))
    dtypes = [{v.dtype for v in body.results()} for body in bodies]
    both = sorted(dtypes[0] & dtypes[1])
    if not both:
        return
    dtype = g.choice(both)
    results = [[v for v in body.results() if v.dtype == dtype][-1] for body in bodies]
    graphs = [close(b, n, [], [r]) for b, n, r in zip(bodies, ("then", "else"), results)]
    flag = g.leaf(np.asarray(g.chance(0.5)))
    captured = outside(g, graphs)
    error = results[0 if flag.array else 1].error
    g.add(op, [flag], captured=captured, then_branch=graphs[0], else_branch=graphs[1], error=error)


@generator("Loop")
def loop(g, op):
    trips, start = g.int(1, 4), g.pick(["float32", "int64"])
    body = Graph(g.rng, g.opset, g)
    names = [body.name() for _ in range(3)]
    state = body.leaf(start.array)
    state.error = start.error
    step = body.leaf(np.asarray(g.int(1, 3), start.dtype))
    after = body.add(g.choice(["Add", "Sub", "Max"]), [state, step], error=8.0)
    grow(body, len(body.nodes) + g.int(0, 2))
    scanned = body.results()[-1]
    limit = body.leaf(np.asarray(g.int(1, 4), np.int64))
    keep_going = body.leaf(np.asarray(True))
    keep_going.name, count = names[1], body.leaf(np.asarray(0, np.int64))
    count.name = names[0]
    going = body.add("Less", [count, limit]) if g.chance(0.4) else \
        body.add("Identity", [keep_going])
    outputs = [going, returned(body, after)]
    outputs.append(returned(body, scanned, outputs))
    inside = {state.name, names[0], names[1]}
    body.leaves = [v for v in body.leaves if v.name not in inside]
    graph = close(body, "body", [helper.make_tensor_value_info(names[0], TensorProto.INT64, []),
                                 helper.make_tensor_value_info(names[1], TensorProto.BOOL, []),
                                 info(state.name, start.array, [None] * start.rank)], outputs)
    error = max(o.error for o in outputs) * 5 + start.error
    g.add(op, [g.leaf(np.asarray(trips, np.int64)), g.leaf(np.asarray(True)), start], outputs=2,
          captured=outside(g, [graph]), body=graph, error=error)


@generator("Scan")
def scan(g, op):
    x = g.pick(["float32", "int64"], low_rank=1, finite=True)
    if 0 in x.shape:
        return
    start = g.pick([x.dtype], shape=x.shape[1:], finite=True)
    body = Graph(g.rng, g.opset, g)
    state, row = body.leaf(start.array), body.leaf(x.array[0])
    state.error = row.error = max(start.error, x.error)
    total = body.add(g.choice(["Add", "Max", "Sub"]), [state, row], error=8.0)
    grow(body, 1 + g.int(0, 2))
    scanned = body.results()[-1]
    outputs = [returned(body, total)]
    outputs.append(returned(body, scanned, outputs))
    body.leaves = [v for v in body.leaves if v not in (state, row)]
    graph = close(body, "body", [info(state.name, state.array), info(row.name, row.array)], outputs)
    error = max(o.error for o in outputs) * 5
    g.add(op, [start, x], outputs=2, captured=outside(g, [graph]), body=graph, num_scan_inputs=1,
          error=error, scan_input_directions=[g.int(0, 1)], scan_output_directions=[g.int(0, 1)])


def in_function(g, nodes, operands, result, error=0.0):
    """A few nodes with a sequence between them: it is executed as one, since onnxruntime's eager
    execution here knows tensors only."""
    body = helper.make_graph(nodes, "then", [], [helper.make_empty_tensor_value_info(result)])
    # A true condition around them makes one node of them.
    g.add("If", [g.leaf(np.asarray(True), True)], captured=operands, then_branch=body,
          else_branch=body, error=error)


@generator("SequenceAt")
def sequence_at(g, op):
    a = g.pick(["float32", "int64"])
    b = g.pick([a.dtype])
    names = [g.name() for _ in range(3)]
    index = g.leaf(np.asarray(g.int(-2, 1), np.int64))
    nodes = [helper.make_node("SequenceConstruct", [a.name, b.name], names[:1]),
             helper.make_node("SequenceInsert", [names[0], a.name], names[1:2]),
             helper.make_node(op, [names[1], index.name], names[2:])]
    in_function(g, nodes, [a, b, index], names[2])


@generator("SplitToSequence")
def split_to_sequence(g, op):
    x = g.pick(["float32", "int64"], low_rank=1)
    if 0 in x.shape:
        return
    axis = g.int(0, x.rank - 1)
    names = [g.name() for _ in range(2)]
    size = g.leaf(np.asarray(g.int(1, x.shape[axis]), np.int64))
    nodes = [helper.make_node(op, [x.name, size.name], names[:1], axis=axis),
             helper.make_node("SequenceLength", names[:1], names[1:])]
    in_function(g, nodes, [x, size], names[1])


@generator("ConcatFromSequence")
def concat_from_sequence(g, op):
    a = g.pick(["float32", "int64"], low_rank=1)
    b = g.pick([a.dtype], shape=a.shape)
    names = [g.name() for _ in range(2)]
    stack = g.int(0, 1)
    axis = g.int(-a.rank, a.rank - 1)
    nodes = [helper.make_node("SequenceConstruct", [a.name, b.name, a.name], names[:1]),
             helper.make_node(op, names[:1], names[1:], axis=axis, new_axis=stack)]
    in_function(g, nodes, [a, b], names[1], error=max(a.error, b.error))
