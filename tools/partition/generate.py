#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes synthetic partition problems, the same for the same arguments.

    generate.py --ops 10000 --labels 3 --handover 5 --seed 1 --out FILE

`networks` are built from the blocks that networks are made of: residual, inception, attention,
chains. `graphs` have random dependencies. Label 0 is the host: it runs everything, slowest; inputs
and outputs are pinned to it; copies between two others go through it. Costs are invented: good to
compare optimisers with, never to claim speed.
"""
import argparse
import pathlib
import random

from problem import UNSUPPORTED, Problem, Tensor

MEAN_COST = 1000
# How much an op of a kind costs, beside the mean.
WEIGHTS = {"conv": 2.0, "matmul": 2.0, "pool": 0.5, "softmax": 0.5, "norm": 0.4, "gelu": 0.3,
           "concat": 0.3, "relu": 0.2, "add": 0.2, "move": 0.2}
HOST = "host"


class Network:
    """Ops as (kind, predecessors), the first a source on the host."""

    def __init__(self, rng):
        self.rng = rng
        self.kinds, self.before = [HOST], [[]]
        self.last = 0

    def add(self, kind, *before):
        self.kinds.append(kind)
        self.before.append(sorted(set(before)))
        return len(self.kinds) - 1

    def chain(self, begin, kinds):
        for kind in kinds:
            begin = self.add(kind, begin)
        return begin

    def residual(self):
        end = self.chain(self.last, ("conv", "norm", "relu", "conv", "norm"))
        self.last = self.add("relu", self.add("add", end, self.last))

    def inception(self):
        ends = [self.chain(self.last, self.rng.choices(("conv", "relu", "pool", "norm"),
                                                       k=self.rng.randint(1, 4)))
                for _ in range(self.rng.randint(2, 4))]
        self.last = self.add("concat", *ends)

    def attention(self):
        normed = self.add("norm", self.last)
        query, key, value = (self.add("matmul", normed) for _ in range(3))
        scores = self.chain(self.add("matmul", query, self.add("move", key)), ("softmax",))
        mixed = self.chain(self.add("matmul", scores, value), ("matmul",))
        middle = self.add("add", mixed, self.last)
        end = self.chain(middle, ("norm", "matmul", "gelu", "matmul"))
        self.last = self.add("add", end, middle)

    def straight(self):
        self.last = self.chain(self.last, self.rng.choices(("conv", "relu", "norm", "move"),
                                                           k=self.rng.randint(1, 6)))

    def finish(self, ops):
        """Cuts what is too much and joins all ends in a sink on the host."""
        del self.kinds[ops - 1:], self.before[ops - 1:]
        used = {u for before in self.before for u in before}
        self.add(HOST, *(v for v in range(len(self.kinds)) if v not in used))
        return self


def network(ops, rng):
    net = Network(rng)
    blocks = [net.residual, net.inception, net.attention, net.straight]
    while len(net.kinds) < ops:
        rng.choices(blocks, weights=(35, 25, 30, 10))[0]()
    return net.finish(ops)


def graph(ops, rng):
    net = Network(rng)
    reach = rng.randint(2, 12)
    while len(net.kinds) < ops - 1:
        v = len(net.kinds)
        before = {max(0, v - rng.randint(1, reach)) for _ in range(rng.randint(1, 3))}
        net.add(rng.choice(list(WEIGHTS)), *before)
    return net.finish(ops)


def speeds(net, labels, rng):
    """[label][kind]: how many times as fast as the host; a few kinds are missing, marked None."""
    kinds = sorted(set(net.kinds) - {HOST})
    rows = []
    for _ in range(1, labels):
        rows.append({kind: None if rng.random() < 0.12
                     else rng.uniform(1.5, 8) if rng.random() < 0.75 else rng.uniform(0.3, 1.2)
                     for kind in kinds})
    return rows


def op_costs(net, labels, rng, holes):
    rows = []
    devices = speeds(net, labels, rng)
    for kind in net.kinds:
        if kind == HOST:
            rows.append([0] + [UNSUPPORTED] * (labels - 1))
            continue
        host = 4 * MEAN_COST * WEIGHTS[kind] * rng.lognormvariate(0, 0.8)
        rows.append([round(host)] + [
            UNSUPPORTED if device[kind] is None or rng.random() < holes
            else round(host / device[kind]) for device in devices])
    return rows


def handovers(labels, rng, factor, uneven):
    def cost():
        return round(MEAN_COST * factor * (rng.uniform(0.3, 2.0) if uneven else 1.0))
    return [[0 if a == b else cost() for b in range(labels)] for a in range(labels)]


def copies(labels, hop, rng, uneven):
    def cost(a, b):
        hops = 1 if 0 in (a, b) else 2
        return round(hop * hops * (rng.uniform(0.5, 1.5) if uneven else 1.0))
    return [[0 if a == b else cost(a, b) for b in range(labels)] for a in range(labels)]


def problem(ops, labels, seed, handover=1.0, copy=1.0, holes=0.05, uneven=False, shape="networks"):
    """handover and copy: beside the mean op. uneven: every pair of labels has costs of its own."""
    rng = random.Random(f"{shape} {ops} {labels} {seed}")
    net = network(ops, rng) if shape == "networks" else graph(ops, rng)
    consumers = [[] for _ in net.kinds]
    for v, before in enumerate(net.before):
        for u in before:
            consumers[u].append(v)
    made = Problem(f"{shape}_{ops}_{labels}_{seed}", handovers(labels, rng, handover, uneven),
                   op_costs(net, labels, rng, holes), [])
    for u, readers in enumerate(consumers):
        if readers:
            hop = MEAN_COST * copy * rng.lognormvariate(0, 0.6)
            made.tensors.append(Tensor(u, readers, copies(labels, hop, rng, uneven)))
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--ops", type=int, required=True)
    parser.add_argument("--labels", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--handover", type=float, default=1.0, help="in mean op costs")
    parser.add_argument("--copy", type=float, default=1.0, help="in mean op costs")
    parser.add_argument("--holes", type=float, default=0.05)
    parser.add_argument("--uneven", action="store_true")
    parser.add_argument("--shape", choices=("networks", "graphs"), default="networks")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = vars(parser.parse_args())
    out = options.pop("out")
    problem(**options).write(out)


if __name__ == "__main__":
    main()
