#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Length gates: functions 70 lines, sources 800, headers 400.

Tables and generated files are exempt from the file gate by name: *_table.c, generated/.

usage: check_sizes.py REPOSITORY
"""

import re
import sys

import source_tree

MAX_FUNCTION_LINES = 70
MAX_FILE_LINES = {".c": 800, ".h": 400}
EXEMPT = re.compile(r"_table\.[ch]$|(^|/)generated/")


def without_preprocessor(code):
    """Blanks directives and every branch but the first, so that braces balance."""
    lines, depth_of_skip, stack, continued = [], 0, [], False
    for line in code.split("\n"):
        stripped = line.lstrip()
        directive = continued or stripped.startswith("#")
        if directive and not continued:
            word = re.match(r"#\s*(\w*)", stripped).group(1)
            if word in ("if", "ifdef", "ifndef"):
                # Code for C++ only opens an extern "C" block, which is no function.
                skip = "__cplusplus" in stripped and word != "ifndef"
                stack.append(skip)
                depth_of_skip += skip
            elif word in ("else", "elif") and stack and not stack[-1]:
                stack[-1] = True
                depth_of_skip += 1
            elif word == "endif" and stack:
                depth_of_skip -= stack.pop()
        lines.append("" if directive or depth_of_skip else line)
        continued = directive and line.endswith("\\")
    return "\n".join(lines)


def functions(code):
    """Yields (name, first line, last line) of each function definition."""
    code = without_preprocessor(code)
    depth, start, head, opened = 0, 0, None, 0
    for match in re.finditer(r"[{};]", code):
        char, offset = match.group(), match.start()
        if char == "{":
            if depth == 0:
                text = code[start:offset]
                head = text if re.search(r"\)\s*$", text) and "=" not in text else None
                opened = start + len(text) - len(text.lstrip())
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                if head is not None:
                    name = re.search(r"(\w+)\s*\(", head)
                    yield (name.group(1) if name else "?", code.count("\n", 0, opened) + 1,
                           code.count("\n", 0, offset) + 1)
                start = offset + 1
        elif depth == 0:
            start = offset + 1


def find_violations(files):
    violations = []
    for source in files:
        limit = MAX_FILE_LINES["." + source.path.rsplit(".", 1)[1]]
        lines = source.text.count("\n")
        if lines > limit and not EXEMPT.search(source.path):
            violations.append(f"{source.path}: {lines} lines, at most {limit}")
        for name, first, last in functions(source.code):
            length = last - first + 1
            if length > MAX_FUNCTION_LINES:
                violations.append(f"{source.path}:{first}: {name} has {length} lines, "
                                  f"at most {MAX_FUNCTION_LINES}")
    return violations


if __name__ == "__main__":
    sys.exit(source_tree.main("sizes", find_violations))
