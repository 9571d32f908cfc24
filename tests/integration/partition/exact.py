# SPDX-License-Identifier: Apache-2.0
"""Partition problems as mixed integer programmes, solved by HiGHS: an oracle that shares nothing
with the partitioner.

The programme charges for handovers the costliest path of dependencies. For two labels on a graph
with one source that is the true cost; for more labels it is a bound from below, which is raised
by cuts: where labels cannot be ordered as cheaply as the programme believes, a few ops that are to
blame for it are found, and no labelling that gives them these labels may hand over for less.
"""
import heapq

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array


def closed(handover):
    """Handover costs by the cheapest way, over third labels too."""
    cost = np.array(handover, dtype=float)
    for via in range(len(cost)):
        cost = np.minimum(cost, cost[:, via, None] + cost[None, via, :])
    return cost


class Programme:
    """Minimise cost @ x subject to rows, built up piece by piece."""

    def __init__(self):
        self.cost, self.lower, self.upper, self.integral = [], [], [], []
        self.rows, self.row_lower, self.row_upper = [], [], []

    def variable(self, cost=0.0, upper=1.0, integral=False):
        self.cost.append(cost)
        self.lower.append(0.0)
        self.upper.append(upper)
        self.integral.append(int(integral))
        return len(self.cost) - 1

    def row(self, terms, lower, upper=np.inf):
        """lower <= sum of factor * variable over terms <= upper."""
        self.rows.append(terms)
        self.row_lower.append(lower)
        self.row_upper.append(upper)

    def solve(self, seconds):
        """(values, objective, bound) or None when time is up."""
        numbers = [(i, v, f) for i, terms in enumerate(self.rows) for v, f in terms]
        where, which, factors = zip(*numbers)
        matrix = csr_array((factors, (where, which)), shape=(len(self.rows), len(self.cost)))
        found = milp(self.cost, integrality=self.integral, bounds=Bounds(self.lower, self.upper),
                     constraints=LinearConstraint(matrix, self.row_lower, self.row_upper),
                     options={"mip_rel_gap": 0.0, "time_limit": seconds})
        return (found.x, found.fun, found.mip_dual_bound) if found.status == 0 else None


class Exact:
    """The programme of one problem. Costs must be integers, so that its optimum is known exactly
    although HiGHS computes in floating point."""

    def __init__(self, problem):
        self.problem = problem
        self.handover = closed(problem.handover)
        self.edges = problem.edges()
        self.programme = Programme()
        self._ops()
        self._copies()
        self._paths()

    def _ops(self):
        p = self.programme
        self.on = []  # [op][label]: variable, None where it cannot run
        for costs in self.problem.ops:
            row = [p.variable(cost, integral=True) if cost >= 0 else None for cost in costs]
            p.row([(v, 1.0) for v in row if v is not None], 1.0, 1.0)
            self.on.append(row)

    def _copies(self):
        """A way (a, b) of a tensor is open when its producer is on a; a reader on b needs one."""
        p = self.programme
        for tensor in self.problem.tensors:
            made = self.on[tensor.producer]
            for b in range(self.problem.labels):
                readers = [self.on[c][b] for c in set(tensor.consumers)
                           if self.on[c][b] is not None]
                ways = []
                for a, on in enumerate(made):
                    if on is not None and readers:
                        ways.append(p.variable(tensor.copy[a][b]))
                        p.row([(on, 1.0), (ways[-1], -1.0)], 0.0)
                for reader in readers:
                    p.row([(way, 1.0) for way in ways] + [(reader, -1.0)], 0.0)

    def _paths(self):
        """late[v]: handovers of the costliest path to v; the last of all is paid."""
        p = self.programme
        most = float(self.handover.max()) * len(self.problem.ops)
        self.paid = p.variable(1.0, most)
        late = [p.variable(0.0, most) for _ in self.problem.ops]
        for v in late:
            p.row([(self.paid, 1.0), (v, -1.0)], 0.0)
        for u, v in self.edges:
            terms = [(late[v], 1.0), (late[u], -1.0)]
            into = {on: [] for on in self.on[v] if on is not None}
            for a, from_on in enumerate(self.on[u]):
                out = []
                for b, to_on in enumerate(self.on[v]):
                    if from_on is not None and to_on is not None:
                        pair = p.variable()
                        out.append((pair, 1.0))
                        into[to_on].append((pair, 1.0))
                        terms.append((pair, -self.handover[a][b]))
                if from_on is not None:
                    p.row(out + [(from_on, -1.0)], 0.0, 0.0)
            for to_on, pairs in into.items():
                p.row(pairs + [(to_on, -1.0)], 0.0, 0.0)
            p.row(terms, 0.0)

    def solve(self, seconds=60.0):
        """(labels, cost, bound) of the programme, rounded to the integers they are; None when time
        was up."""
        found = self.programme.solve(seconds)
        if found is None:
            return None
        values, cost, bound = found
        if abs(cost - round(cost)) > 0.01 or bound < round(cost) - 0.5:
            raise ArithmeticError(f"HiGHS found {cost} and proved {bound}")
        labels = [max((b for b in range(len(row)) if row[b] is not None),
                      key=lambda b, row=row: values[row[b]]) for row in self.on]
        return labels, round(cost), round(values[self.paid], 3)

    def cut(self, ops, labels, handovers):
        """Whoever gives ops these labels hands over for this much at least."""
        self.programme.row([(self.paid, 1.0)] +
                           [(self.on[v][labels[v]], -handovers) for v in ops],
                           handovers * (1.0 - len(ops)))


def reach(edges, count):
    """[op]: set of ops that must come before it, as bits."""
    before = [0] * count
    for u, v in sorted(edges, key=lambda edge: edge[1]):
        before[v] |= before[u] | 1 << u
    return before


def cheapest_order(handover, before, ops, labels):
    """Handovers of the best order of ops (which keep their precedence): cheapest first over what
    has run and which label ran last. A segment runs all of its label that can."""
    ops = sorted(ops)
    mask = sum(1 << v for v in ops)
    need = {v: before[v] & mask for v in ops}

    def close(done, label):
        for v in ops:  # ascending, so one pass is enough
            if labels[v] == label and not done >> v & 1 and need[v] & ~done == 0:
                done |= 1 << v
        return done

    kinds = sorted({labels[v] for v in ops})
    queue = [(0.0, close(0, b), b) for b in kinds if close(0, b)]
    heapq.heapify(queue)
    seen = set()
    while queue:
        cost, done, label = heapq.heappop(queue)
        if done == mask:
            return cost
        if (done, label) in seen:
            continue
        seen.add((done, label))
        for b in kinds:
            then = close(done, b)
            if then != done:
                heapq.heappush(queue, (cost + handover[label][b], then, b))
    return 0.0


def to_blame(handover, before, labels, believed):
    """A few ops that alone cannot be ordered for what the programme believes."""
    ops = list(range(len(labels)))
    size = len(ops) // 2
    while size > 0:
        for begin in range(0, len(ops), size):
            fewer = ops[:begin] + ops[begin + size:]
            if cheapest_order(handover, before, fewer, labels) > believed + 0.5:
                ops = fewer
                break
        else:
            size //= 2
    return ops


def optimum(problem, known, seconds, rounds=200):
    """(lower, upper): the optimum lies between; they are equal when it is known, and may not be when
    one programme takes longer than seconds. A cost that is known to be possible spares rounds."""
    exact = Exact(problem)
    before = reach(exact.edges, len(problem.ops))
    lower, upper = -1, known
    for _ in range(rounds):
        found = exact.solve(seconds)
        if found is None:
            break
        labels, lower, believed = found
        true = cheapest_order(exact.handover, before, range(len(labels)), labels)
        upper = min(upper, round(lower - believed + true))
        if lower >= upper:
            break
        ops = to_blame(exact.handover, before, labels, believed)
        exact.cut(ops, labels, cheapest_order(exact.handover, before, ops, labels))
    return lower, upper
