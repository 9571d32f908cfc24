#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tenon and other runtimes on the zoo's models, in turn: how fast, how soon, how large, how equal.

    peers.py [--models resnet50,bert_base] [--threads 1,2] [--rounds N] [--busy N]
             [--contenders tenon,onnxruntime] [--quick | --check] [--list]

Every contender is a process that holds the model ready; turns go round, and all but one are
stopped. Exit 1: Tenon does not run a model, or its answers differ by more than 1e-3 of an output's
range (int8: 5 %) from those of onnxruntime without optimisation.
"""
import argparse
import contextlib
import importlib.metadata
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np

import models
import report
import runtimes
from contender import Failed
from measure import Effort, measure

ROOT = runtimes.ROOT


def numbers(text):
    return [int(word) for word in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--venv", type=pathlib.Path, default=ROOT / "build/peers-venv")
    parser.add_argument("--zoo", type=pathlib.Path, default=ROOT / "build/zoo")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/peers")
    parser.add_argument("--models", default="", help="names, with commas between them")
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="default: 1,2")
    parser.add_argument("--rounds", type=int, help="default: 21, or 5 with --quick")
    parser.add_argument("--contenders", default="",
                        help="only these, so that more rounds fit into the time; names, with "
                        "commas between them (default: all)")
    parser.add_argument("--busy", type=int, default=0,
                        help="so many other processes that compute all the time (default: 0)")
    parser.add_argument("--quick", action="store_true", help="few rounds: to try it out")
    parser.add_argument("--check", action="store_true", help="compare outputs, measure nothing")
    parser.add_argument("--list", action="store_true", help="the cases, and nothing else")
    args = parser.parse_args()
    args.cases = models.chosen([name for name in args.models.split(",") if name])
    if args.cases is None:
        parser.error(f"--models {args.models}: there are " +
                     ", ".join(case.name for case in models.CASES))
    args.contenders = chosen_contenders(args.contenders)
    if "tenon" not in args.contenders:
        parser.error("--contenders: tenon, and of the others: " +
                     "; ".join(runtimes.names(2)[1:]))
    return args


def chosen_contenders(text):
    """All, or those that are named; a peer's name stands for its variants too."""
    return [name for name in runtimes.names(2)
            if not text or name.split(", ")[0] in text.split(",")]


def versions(venv):
    """Of the peers in their environment."""
    wanted = {line.split("==")[0].lower() for line in
              (runtimes.HERE / "requirements.txt").read_text().splitlines() if "==" in line}
    path = [str(folder) for folder in venv.glob("lib/*/site-packages")]
    found = importlib.metadata.distributions(path=path)
    there = {d.metadata["Name"].lower(): d.version for d in found}
    return ", ".join(f"{n} {there[n]}" for n in sorted(wanted - {"numpy"}) if n in there)


def write_inputs(case, work):
    """{name: (array, path)}"""
    folder = work / "inputs" / case.name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    feeds = {}
    for index, (name, array) in enumerate(models.inputs(case).items()):
        path = folder / f"{index}.npy"
        np.save(path, array)
        feeds[name] = (array, path)
    return feeds


def run_case(starter, case, threads, effort, contenders):
    """A Result, or None when there is nothing to compare with; says how it went."""
    begin = time.monotonic()
    names = [name for name in runtimes.names(threads) if name in contenders]
    names.append(runtimes.TENON_FAST[0])
    try:
        result = measure(starter, case, write_inputs(case, starter.work), threads, names, effort)
    except Failed as why:
        print(f"{case.name}: not measured: {why}", file=sys.stderr)
        return None
    took = ", ".join(f"{n} {report.cell(result.milliseconds(n))} ms" for n in result.turns)
    print(f"{case.name}, {threads} thread(s): {took or 'compared, not measured'} "
          f"({time.monotonic() - begin:.0f} s)",
          file=sys.stderr, flush=True)
    return result


def overhead_of_a_run(starter, effort, threads, contenders):
    """What a run costs that has next to nothing to do: Python is in the peers' numbers."""
    case = models.Case("chain_1", "chain_1", chain_inputs, {}, models.F32)
    result = run_case(starter, case, threads, effort, contenders)
    return "" if result is None else (
        f"A run of one Add of one element, {threads} thread(s), microseconds: " +
        ", ".join(f"{name} {report.cell(result.milliseconds(name) * 1e3)}"
                  for name in result.turns) + ".\n")


@contextlib.contextmanager
def company(count):
    """Processes that want a processor all the time, as a browser does, or another network."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def chain_inputs(_):
    return {"x": np.ones(1, np.float32), "y": np.full(1, 0.5, np.float32)}


def compare(args):
    args.work.mkdir(parents=True, exist_ok=True)
    starter = runtimes.Starter(args.build, args.venv, args.zoo, args.work)
    effort = Effort(args.quick, args.check, args.rounds)
    print(f"{report.machine()}; {versions(args.venv)}; medians of {effort.rounds} rounds in turn; "
          f"{f'beside {args.busy} busy processes; ' if args.busy else ''}"
          f"{time.strftime('%Y-%m-%d')}{'; QUICK: not for the record' if args.quick else ''}\n")
    everything, missing = [], 0
    for threads in args.threads:
        results = [run_case(starter, case, threads, effort, args.contenders)
                   for case in args.cases]
        missing += results.count(None)
        results = [r for r in results if r is not None]
        everything += results
        if not args.check:
            print(f"### {threads} thread(s): milliseconds a run\n\n{report.steady(results)}")
            print(overhead_of_a_run(starter, effort, threads, args.contenders))
            print(f"### {threads} thread(s): until the first answer, and peak resident memory\n\n"
                  f"{report.starts(results)}")
        print(f"### {threads} thread(s): largest difference from the model executed literally\n\n"
              f"{report.differences(results)}", flush=True)
    print(f"### In short\n\n{report.summary(everything)}{report.failures(everything)}")
    wrong = report.wrong(everything)
    for line in wrong:
        print(f"peers: {line}", file=sys.stderr)
    return 1 if wrong or missing else 0


def main():
    args = parse()
    if args.list:
        print("\n".join(case.name for case in args.cases))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nobody stays behind, stopped
    with company(args.busy):
        return compare(args)


if __name__ == "__main__":
    sys.exit(main())
