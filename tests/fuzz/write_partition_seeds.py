#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of partition_fuzz: valid problems with each feature, in the bytes it reads.

    write_partition_seeds.py FOLDER        (corpus/partition holds what it writes)
"""
import pathlib
import random
import sys

CLAIMS, GROUPS, CAPACITIES, CONCURRENT = 1, 2, 4, 8
UNSUPPORTED = 248
FREE = 255
SEEDS = {"plain": 0, "claims": CLAIMS, "groups": GROUPS, "capacities": CAPACITIES,
         "concurrent": CONCURRENT, "all": CLAIMS | GROUPS | CAPACITIES | CONCURRENT}


def matrix(rng, labels, most):
    """Costs between labels, then a byte a label: 0 keeps the diagonal 0."""
    return [rng.randrange(most) for _ in range(labels * labels)] + [0] * labels


def tensors(rng, ops, labels):
    out = [ops - 1]
    for producer in range(ops - 1):
        readers = sorted(rng.sample(range(producer + 1, ops), min(rng.randint(1, 3),
                                                                  ops - 1 - producer)))
        out += [len(readers), producer, *readers, *matrix(rng, labels, 20)]
    return out + [0]


def claims(ops, labels):
    """One all-or-nothing of the first ops, one bonus of the last, on the last label."""
    last = labels - 1
    return [2, last, 2, 2, 5, 0, 1, last, 2, 0, 3, ops - 2, ops - 1]


def problem(rng, ops, labels, features):
    out = [features, ops, labels]
    for _ in range(ops):
        out += [rng.randrange(1, 40)] + [rng.randrange(1, 30) for _ in range(labels - 1)]
    if not features & CLAIMS:
        out[3 + labels - 1] = UNSUPPORTED
    out += matrix(rng, labels, 30) + tensors(rng, ops, labels)
    out += claims(ops, labels) if features & CLAIMS else []
    out += [0] * (ops - 2) + [200, 200] if features & GROUPS else []
    if features & CAPACITIES:
        out += [rng.randrange(80) for _ in range(ops)]
        out += [FREE] + [ops * 5] * (labels - 1)
    return bytes(out)


def main():
    folder = pathlib.Path(sys.argv[1])
    for name, features in SEEDS.items():
        for ops, labels in ((4, 2), (5, 3), (9, 4)):
            rng = random.Random(f"{name} {ops} {labels}")
            data = problem(rng, ops, labels, features)
            (folder / f"{name}-{ops}-{labels}").write_bytes(data)


if __name__ == "__main__":
    main()
