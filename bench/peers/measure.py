# SPDX-License-Identifier: Apache-2.0
"""Runs the contenders on one case: starts, turns, differences."""
import statistics

import numpy as np

from contender import Contender, Failed
from runtimes import LITERAL, NARROW, TENON_FAST

WARM_RUNS = 2  # of each turn: caches belong to whoever was there before


class Effort:
    def __init__(self, quick, check, rounds=None):
        # fresh processes, after one that warms the file cache
        self.starts = 0 if check else 1 if quick else 5
        self.rounds = 0 if check else rounds or (5 if quick else 21)
        self.turn_ns = 30_000_000 if quick else 150_000_000
        if rounds and not check:
            self.starts = min(self.starts, rounds // 3 or 1)


class Result:
    """Of one case at one number of threads; dictionaries by contender."""

    def __init__(self, case, threads):
        self.case, self.threads = case, threads
        self.turns = {}       # [nanoseconds of a run, median of the turn] a round
        self.start_ns = {}    # until the first answer
        self.peak_kib = {}    # of a fresh process, without what it had before the model
        self.whole_kib = {}   # with that
        self.difference = {}  # from the literal execution, as a part of the range
        self.failed = {}      # why

    def milliseconds(self, name):
        turns = self.turns.get(name)
        return statistics.median(turns) / 1e6 if turns else None

    def best(self, *names):
        there = [name for name in names if name in self.turns]
        return min(there, key=self.milliseconds) if there else None

    def times_faster(self, one, other):
        """How many times one is as fast as the other, pair by pair."""
        if one not in self.turns or other not in self.turns:
            return None
        return statistics.median(b / a for a, b in zip(self.turns[one], self.turns[other]))


def difference(array, expected):
    """The largest, as a part of the range of the expected tensor."""
    if array.shape != expected.shape:
        raise Failed(f"an output has shape {list(array.shape)}, expected {list(expected.shape)}")
    if expected.size == 0:
        return 0.0
    a, b = array.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(a).all():
        return float("inf")
    span = float(b.max() - b.min()) or max(abs(float(b.max())), 1e-30)
    return float(np.abs(a - b).max()) / span


def read_outputs(contender, folder):
    return [np.load(folder / f"{i}.npy") for i in range(contender.outputs(folder))]


def literal(starter, case, feeds):
    """What a runtime answers that executes the model as it is written."""
    contender = Contender(starter.peer(case, feeds, 1, *LITERAL), starter.work / "literal.log")
    try:
        return read_outputs(contender, starter.work / "literal")
    finally:
        contender.close()


class Match:
    """All contenders on one case. Nobody works while another one does."""

    def __init__(self, starter, case, feeds, threads, names):
        self.starter, self.feeds, self.names = starter, feeds, list(names)
        self.result = Result(case, threads)
        self.alive = {}

    def fail(self, name, why):
        self.result.failed[name] = str(why)
        self.names.remove(name)
        if name in self.alive:
            self.alive.pop(name).close()

    def start_one(self, name, kept, recorded):
        case, threads = self.result.case, self.result.threads
        log = self.starter.work / f"{name.replace(' ', '_')}.log"
        contender = Contender(self.starter.command(name, case, self.feeds, threads), log)
        self.alive[name] = contender
        stats = contender.stats()
        if recorded:
            whole = contender.host_ns + contender.create_ns + contender.first_ns
            self.result.start_ns.setdefault(name, []).append(whole)
            peak = stats["peak_kib"] - stats["base_kib"]
            self.result.peak_kib.setdefault(name, []).append(peak)
            self.result.whole_kib.setdefault(name, []).append(stats["peak_kib"])
        if not kept:
            self.alive.pop(name).close()

    def start(self, count):
        for repeat in range(count + 1):
            for name in list(self.names):
                kept = repeat == count and name != TENON_FAST[0]
                try:
                    self.start_one(name, kept, repeat > 0)
                except Failed as why:
                    self.fail(name, why)

    def compare(self, expected):
        for name, contender in list(self.alive.items()):
            try:
                found = read_outputs(contender, self.starter.work / "outputs")
                if len(found) != len(expected):
                    raise Failed(f"{len(found)} outputs, expected {len(expected)}")
                worst = max(difference(a, b) for a, b in zip(found, expected))
                self.result.difference[name] = worst
            except Failed as why:
                if name in NARROW:  # other boxes may be kept, say: that is told, and no failure
                    self.result.difference[name] = float("nan")
                    continue
                self.fail(name, why)

    def turn(self, name, count):
        warm = WARM_RUNS if count > 1 else 1  # one long run leaves nothing of the caches
        return statistics.median(self.alive[name].run(warm + count)[warm:])

    def play(self, effort):
        counts = {}
        for name in list(self.alive):
            once = min(self.alive[name].run(3))
            counts[name] = max(1, min(2000, round(effort.turn_ns / once)))
            self.result.turns[name] = []
        for round_ in range(effort.rounds):
            order = list(counts)
            shift = round_ % len(order) if order else 0
            for name in order[shift:] + order[:shift]:
                self.result.turns[name].append(self.turn(name, counts[name]))

    def close(self):
        for contender in self.alive.values():
            contender.close()
        self.alive = {}


def measure(starter, case, feeds, threads, names, effort):
    match = Match(starter, case, feeds, threads, names)
    try:
        match.start(effort.starts)
        match.compare(literal(starter, case, feeds))
        if effort.rounds > 0:
            match.play(effort)
    finally:
        match.close()
    return match.result
