# SPDX-License-Identifier: Apache-2.0
"""The table of generators: op type -> a function that adds such a node to a graph."""

GENERATORS = {}


def generator(names):
    """Registers a function (graph, op type) for several ops."""
    def keep(function):
        for name in names.split():
            assert name not in GENERATORS, name
            GENERATORS[name] = function
        return function
    return keep
