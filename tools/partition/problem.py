# SPDX-License-Identifier: Apache-2.0
"""Partition problems in Python, for generators and tests: the text form of problem_file.h, and
tenon-partition's answer to a file."""
import dataclasses
import subprocess

UNSUPPORTED = -1


@dataclasses.dataclass
class Tensor:
    producer: int
    consumers: list
    copy: list  # [from][to]
    size: int = 0  # bytes


@dataclasses.dataclass
class Problem:
    name: str
    handover: list  # [from][to]
    ops: list       # [op][label], UNSUPPORTED where it cannot run
    tensors: list

    @property
    def labels(self):
        return len(self.handover)

    def edges(self):
        """Dependencies (from, to), each once."""
        return sorted({(t.producer, c) for t in self.tensors for c in t.consumers})

    def write(self, path):
        def flat(matrix):
            return " ".join(f"{float(cost):.3f}" if cost % 1 else str(int(cost))
                            for row in matrix for cost in row)

        lines = [f"P {self.name} {len(self.ops)} {self.labels} {len(self.tensors)}",
                 f"S {flat(self.handover)}"]
        lines += [f"N {flat([costs])}" for costs in self.ops]
        lines += [f"T {t.producer} {len(t.consumers)} {' '.join(map(str, t.consumers))} "
                  f"{flat(t.copy)}" for t in self.tensors]
        if any(t.size for t in self.tensors):
            lines.append(f"B {' '.join(str(t.size) for t in self.tensors)}")
        path.write_text("\n".join(lines) + "\n", encoding="ascii")


def read(path, number=float):
    """Costs as numbers of that kind: float, or fractions.Fraction for exactly what the file says."""
    words = iter(path.read_text(encoding="ascii").split())

    def matrix(rows, columns):
        return [[number(next(words)) for _ in range(columns)] for _ in range(rows)]

    def expect(tag):
        found = next(words)
        if found != tag:
            raise ValueError(f"{path}: {found} where {tag} should be")

    expect("P")
    name = next(words)
    ops, labels, tensors = (int(next(words)) for _ in range(3))
    expect("S")
    problem = Problem(name, matrix(labels, labels), [], [])
    for _ in range(ops):
        expect("N")
        problem.ops += matrix(1, labels)
    for _ in range(tensors):
        expect("T")
        producer, count = int(next(words)), int(next(words))
        consumers = [int(next(words)) for _ in range(count)]
        problem.tensors.append(Tensor(producer, consumers, matrix(labels, labels)))
    if next(words, None) == "B":
        for tensor in problem.tensors:
            tensor.size = int(next(words))
    return problem


def price(problem, labels, order):
    """What a plan costs, from the definition; exact if the problem's costs are. And of how many
    costs it is the sum."""
    place = {op: i for i, op in enumerate(order)}
    if len(place) != len(problem.ops) or any(place[a] >= place[b] for a, b in problem.edges()):
        raise ValueError(f"{problem.name}: the order is none")
    if any(costs[label] < 0 for costs, label in zip(problem.ops, labels)):
        raise ValueError(f"{problem.name}: an op is where it cannot run")
    parts = [costs[label] for costs, label in zip(problem.ops, labels)]
    for tensor in problem.tensors:
        source = labels[tensor.producer]
        parts += [tensor.copy[source][to] for to in {labels[c] for c in tensor.consumers} - {source}]
    parts += [problem.handover[labels[a]][labels[b]] for a, b in zip(order, order[1:])
              if labels[a] != labels[b]]
    return sum(parts), len(parts)


@dataclasses.dataclass
class Answer:
    cost: float
    bound: float
    gap_percent: float
    handovers: int
    copies: int
    ms: float
    labels: list = dataclasses.field(default_factory=list)  # these two with --plan only
    order: list = dataclasses.field(default_factory=list)


def solve(tool, path, *options):
    """What tenon-partition says."""
    lines = subprocess.run([tool, *options, path], check=True, capture_output=True, text=True,
                           timeout=120).stdout.splitlines()
    words = lines[0].split()
    plan = [list(map(int, line.split())) for line in lines[1:]]
    return Answer(*map(float, words[:3]), *map(int, words[3:5]), float(words[5]), *plan)
