# SPDX-License-Identifier: Apache-2.0
"""Models of nothing but calls: dependent Adds of one element."""
from onnx import TensorProto, helper

CHAINS = {"chain_1": 1, "chain_1000": 1000}


def write(name, folder):
    """x + y + y + ...: nothing to fold, nothing to do at the same time."""
    path = folder / f"{name}.onnx"
    length = CHAINS[name]
    values = ["x"] + [f"t{i}" for i in range(1, length)] + ["sum"]
    nodes = [helper.make_node("Add", [values[i], "y"], [values[i + 1]]) for i in range(length)]
    x, y, total = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1])
                   for n in ("x", "y", "sum"))
    graph = helper.make_graph(nodes, name, [x, y], [total])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return path
