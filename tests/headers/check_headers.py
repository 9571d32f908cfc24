#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles each public header alone, pedantically, warnings as errors.

usage: check_headers.py --compiler CC --level c11|c17|c++11|c++17|c++20 INCLUDE_DIR...

Every *.h below the include folders is included twice from an otherwise empty file: alone means it
brings what it needs, twice means its guard works. Exits 1 if any fails or if there is no header.
"""

import argparse
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-pedantic-errors", "-Werror", "-Wshadow",
            "-Wconversion", "-Wsign-conversion", "-Wcast-qual", "-Wundef", "-Wdouble-promotion"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes", "-Wvla"]


def compile_header(compiler, level, include_dirs, header):
    """Returns the compiler's complaints, empty when there are none."""
    is_cxx = level.startswith("c++")
    command = [compiler, f"-std={level}", "-x", "c++" if is_cxx else "c", "-fsyntax-only"]
    command += WARNINGS + ([] if is_cxx else C_WARNINGS)
    for folder in include_dirs:
        command += ["-I", str(folder)]
    source = f'#include "{header}"\n#include "{header}"\ntypedef int translation_unit_not_empty;\n'
    run = subprocess.run(command + ["-"], input=source, capture_output=True, text=True, check=False)
    if run.returncode == 0 and not run.stderr:
        return ""
    return run.stderr or f"exit status {run.returncode}"


def check(compiler, level, include_dirs):
    """Returns (headers compiled, headers that failed)."""
    headers = [header.relative_to(folder)
               for folder in include_dirs for header in sorted(folder.rglob("*.h"))]
    failed = 0
    for header in headers:
        complaint = compile_header(compiler, level, include_dirs, header)
        print(f"{'FAIL' if complaint else 'ok  '} {header}")
        if complaint:
            print(complaint)
            failed += 1
    return len(headers), failed


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--level", required=True)
    parser.add_argument("include_dirs", nargs="+", type=pathlib.Path)
    options = parser.parse_args(arguments)
    count, failed = check(options.compiler, options.level, options.include_dirs)
    print(f"{count} headers, {failed} failed")
    if count == 0:
        print("no header found: nothing was tested")
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
