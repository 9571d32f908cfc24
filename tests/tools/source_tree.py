# SPDX-License-Identifier: Apache-2.0
"""What the tree checks share: the list of sources, and C text with comments and strings blanked."""

import pathlib
import re
import sys

TOP_FOLDERS = ("abi", "partitioner", "core", "plugins", "conformance", "tools", "hosts", "examples",
               "tests", "bench")

_TOKEN = re.compile(
    r"//(?:[^\n\\]|\\.|\\\n)*"            # line comment, continued lines included
    r"|/\*.*?\*/"                         # block comment
    r'|"(?:[^"\\\n]|\\.|\\\n)*"'          # string
    r"|'(?:[^'\\\n]|\\.)*'",              # character
    re.DOTALL)


class Source:
    """One file. path is relative to the root, with forward slashes."""

    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text(encoding="utf-8", errors="replace")
        self._code = None

    @property
    def code(self):
        """The text with comments removed and literals emptied; line numbers stay right."""
        if self._code is None:
            self._code = _TOKEN.sub(_blank, self.text)
        return self._code

    def line_of(self, offset):
        return self.code.count("\n", 0, offset) + 1


def _blank(match):
    token = match.group()
    newlines = "\n" * token.count("\n")
    if token[0] in "\"'":
        return token[0] + newlines + token[0]
    return " " + newlines


def sources(root, suffixes=(".c", ".h")):
    """All files of these kinds below the top folders, sorted."""
    root = pathlib.Path(root)
    found = []
    for folder in TOP_FOLDERS:
        if (root / folder).is_dir():
            found += [path for path in (root / folder).rglob("*")
                      if path.suffix in suffixes and path.is_file()]
    return [Source(root, path) for path in sorted(found)]


def report(check, violations, file_count):
    """Prints the findings and returns the exit status; an empty tree is a failure, not a pass."""
    for violation in violations:
        print(violation)
    print(f"{check}: {file_count} files, {len(violations)} violations")
    if file_count == 0:
        print(f"{check}: no file found: nothing was checked")
    return 1 if violations or file_count == 0 else 0


def main(check, find_violations):
    """Runs one check over the tree given as the only argument."""
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} REPOSITORY", file=sys.stderr)
        return 2
    files = sources(sys.argv[1])
    return report(check, find_violations(files), len(files))
