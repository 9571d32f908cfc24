#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same problem gives the same plan with every compiler, optimised or not, and on any thread.

    same_test.py SAME_PLANS REPOSITORY

SAME_PLANS is same_plans.c as the build made it; here it is built again by gcc and clang, as far as
they are there, without optimisation and with all of it.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILT, ROOT = (pathlib.Path(a) for a in sys.argv[1:3])
NAMES = ("gcc", "clang")
COMPILERS = [name for name in NAMES if shutil.which(name)]
# Implicit fused multiply-add is off as in the build: it is all that these floats depend on.
FLAGS = ["-std=c17", "-ffp-contract=off", "-D_GNU_SOURCE", "-pthread"]


def build(compiler, level, folder):
    target = pathlib.Path(folder) / f"{compiler}{level}"
    sources = sorted((ROOT / "partitioner" / "src").glob("*.c")) + [
        ROOT / "tests" / "support" / "partition" / "random_problem.c",
        ROOT / "tests" / "integration" / "partition" / "same_plans.c"]
    includes = [f"-I{ROOT / part}" for part in ("partitioner/include", "partitioner/src", "tests")]
    subprocess.run([compiler, level, *FLAGS, *includes, *sources, "-o", target, "-lm"], check=True,
                   timeout=120)
    return target


def plans(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True,
                          timeout=120).stdout.splitlines()


def main():
    expected = plans(BUILT)  # on eight threads too
    wrong = 0
    for name in set(NAMES) - set(COMPILERS):
        print(f"{name} is not here: not compared")
    with tempfile.TemporaryDirectory() as folder:
        for compiler in COMPILERS:
            for level in ("-O0", "-O3"):
                found = plans(build(compiler, level, folder), "alone")
                differ = [line for line, other in zip(expected, found) if line != other]
                print(f"{compiler} {level}: {len(found)} plans, {len(differ)} differ {differ[:3]}")
                wrong += len(differ) + abs(len(found) - len(expected))
    return 1 if wrong or not COMPILERS or not expected else 0


if __name__ == "__main__":
    sys.exit(main())
