#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The text of sources: licence line first, a head that says what the file is for, no leftovers.

usage: check_text.py REPOSITORY
"""

import re
import sys

import source_tree

LICENCE = "// SPDX-License-Identifier: Apache-2.0"
MAX_COLUMNS = 100
LEFTOVER = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
GUARD = re.compile(r"^#ifndef (\w+)\n#define \1\b", re.MULTILINE)


def line_faults(line):
    """Names what is wrong with one line."""
    faults = []
    if "\t" in line:
        faults.append("tab")
    if line != line.rstrip():
        faults.append("trailing blank")
    if len(line) > MAX_COLUMNS:
        faults.append(f"{len(line)} columns, at most {MAX_COLUMNS}")
    if LEFTOVER.search(line):
        faults.append("unfinished work is an issue, not a comment")
    if any(not char.isprintable() for char in line if char != "\t"):
        faults.append("unprintable character")
    return faults


def find_violations(files):
    violations = []
    for source in files:
        lines = source.text.split("\n")
        if lines[0] != LICENCE:
            violations.append(f"{source.path}:1: the first line is not '{LICENCE}'")
        elif len(lines) < 2 or not lines[1].startswith("// "):
            violations.append(f"{source.path}:2: no file head that says what the file is for")
        if not source.text.endswith("\n") or source.text.endswith("\n\n"):
            violations.append(f"{source.path}: the file does not end in exactly one newline")
        if source.path.endswith(".h") and not GUARD.search(source.text):
            violations.append(f"{source.path}: no include guard")
        for number, line in enumerate(lines, 1):
            violations += [f"{source.path}:{number}: {fault}" for fault in line_faults(line)]
    return violations


if __name__ == "__main__":
    sys.exit(source_tree.main("text", find_violations))
