#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the host costs where there is nothing to compute.

    overhead.py [--rounds N]

1,000 dependent Adds of one element: in one island on `cpu`, in 1,000 islands that alternate between
`cpu` and `reference`, and in onnxruntime and openvino; nanoseconds a node, in turn, one thread.
What a run of a single such Add takes, reported beside it, is subtracted.
"""
import argparse
import pathlib
import signal
import statistics
import sys

import chains
import models
import peers
import report
import runtimes
from contender import Contender, Failed

ROOT = runtimes.ROOT
PATIENCE_S = 60  # some compile chains of 1,000 for minutes
RUNS = 200  # a turn
LENGTH = chains.CHAINS["chain_1000"]


def contenders(starter):
    """{name: (command on 1,000 Adds, command on one)}"""
    cases = [models.Case(name, name, peers.chain_inputs, {}, models.F32)
             for name in ("chain_1000", "chain_1")]
    feeds = peers.write_inputs(cases[0], starter.work)
    both = {"tenon, one island": lambda case: starter.tenon(case, feeds, 1, []),
            "tenon, 1,000 islands": lambda case: starter.tenon(case, feeds, 1, ["--alternate"])}
    for name in ("onnxruntime", "openvino"):
        both[name] = lambda case, name=name: starter.peer(case, feeds, 1, *runtimes.PEERS[name])
    return {name: [command(case) for case in cases] for name, command in both.items()}


def start(starter):
    """{name: processes for 1,000 and for one}, and {name: why not}"""
    alive, failed = {}, {}
    for name, pair in contenders(starter).items():
        processes = []
        try:
            for command in pair:
                processes.append(Contender(command, starter.work / "overhead.log", PATIENCE_S))
            alive[name] = processes
        except Failed as why:
            failed[name] = f"does not run: {why}"
            close(processes)
    return alive, failed


def close(processes):
    for process in processes:
        process.close()


def measure(alive, rounds):
    """{name: (nanoseconds of a run of 1,000, of a run of one, statistics)}, medians."""
    times = {name: ([], []) for name in alive}
    for name, pair in alive.items():
        for process in pair:
            process.run(RUNS)
    before = {name: pair[0].stats() for name, pair in alive.items()}
    for _ in range(rounds):
        for name, pair in alive.items():
            for process, turns in zip(pair, times[name]):
                turns.append(statistics.median(process.run(RUNS)[RUNS // 10:]))
    found = {}
    for name, pair in alive.items():
        after = pair[0].stats()
        after["allocated"] = after.get("allocations", 0) - before[name].get("allocations", 0)
        found[name] = tuple(map(statistics.median, times[name])) + (after,)
    return found


def row(name, thousand, one, stats):
    each = (thousand - one) / (LENGTH - 1)
    counted = [str(stats.get(key, "")) for key in ("submits", "handovers", "host_waits")]
    allocated = str(stats["allocated"]) if "allocations" in stats else ""
    return [name, report.cell(thousand / 1e3), report.cell(one / 1e3), report.cell(each), *counted,
            allocated]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/peers-venv")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/peers")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nobody stays behind, stopped
    args.work.mkdir(parents=True, exist_ok=True)
    starter = runtimes.Starter(args.build, args.venv, args.work, args.work)
    alive, failed = start(starter)
    try:
        rows = [row(name, *found) for name, found in measure(alive, args.rounds).items()]
    finally:
        for processes in alive.values():
            close(processes)
    rows += [[name, why] + [""] * 6 for name, why in failed.items()]
    print(f"{report.machine()}; {peers.versions(args.venv)}; {args.rounds} rounds in turn\n")
    print(report.table(["1,000 dependent Adds of one element", "us a run", "us a run of one Add",
                        "ns each", "submits", "handovers", "host waits",
                        f"allocations in {args.rounds * RUNS} runs"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
