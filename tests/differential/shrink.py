# SPDX-License-Identifier: Apache-2.0
"""Makes a failing graph small: no node can be taken away without the failure going with it."""
import copy

from graph import captures
from judge import judge


def without(g, index):
    """The graph in which what a node gives is given as inputs instead."""
    small = copy.copy(g)
    small.nodes = [n for i, n in enumerate(g.nodes) if i != index]
    gone = set(g.nodes[index].output)
    small.leaves = list(g.leaves)
    for value in g.values:
        if value.name in gone:
            small.leaves.append(value)
    return small


def useful(g):
    """Whether anything is left."""
    return len(g.nodes) > 0


def as_inputs(g, name):
    """The graph in which a constant is an input."""
    small = copy.copy(g)
    small.leaves = [copy.copy(v) for v in g.leaves]
    for value in small.leaves:
        if value.name == name:
            value.constant = False
    return small


def shrink(tenon, g, kind, symbolic):
    """The smallest graph found that fails in the same way, and whether its sizes are symbols."""
    def fails(candidate, with_symbols):
        model, inputs = candidate.model(with_symbols)
        return judge(tenon, model, inputs, candidate.results(), with_symbols).kind == kind

    changed = True
    while changed:
        changed = False
        for index in reversed(range(len(g.nodes))):
            candidate = without(g, index)
            if useful(candidate) and fails(candidate, symbolic):
                g, changed = candidate, True
                break
    if symbolic and fails(g, False):
        symbolic = False
    read = {n for node in g.nodes for n in captures(node)}
    for name in [v.name for v in g.leaves if v.constant and v.name in read]:
        candidate = as_inputs(g, name)
        if fails(candidate, symbolic):
            g = candidate
    return g, symbolic
