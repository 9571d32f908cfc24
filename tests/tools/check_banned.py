#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Functions that must not be called, and where.

usage: check_banned.py REPOSITORY
"""

import re
import sys

import source_tree

LIBRARY = ("abi/", "partitioner/", "core/", "plugins/")


class Rule:
    """names must not be called in files below folders, except below exceptions."""

    def __init__(self, reason, names, folders=("",), exceptions=(), also_as_value=False):
        self.reason, self.folders, self.exceptions = reason, folders, exceptions
        names = "|".join(names.split())
        # A member of that name (x->free(...), x.free(...)) is something else.
        pattern = rf"(?<![\w.>])({names})\s*\("
        if also_as_value:
            pattern += rf"|[=(,]\s*({names})\s*[,;)]"
        self.pattern = re.compile(pattern)

    def applies_to(self, path):
        return path.startswith(self.folders) and not (
            self.exceptions and path.startswith(self.exceptions))


RULES = (
    Rule("it cannot be told how much room there is",
         "sprintf vsprintf strcpy strcat stpcpy gets"),
    Rule("it does not report errors", "atoi atol atoll atof"),
    Rule("it keeps hidden state or races", "strtok tmpnam tempnam mktemp"),
    Rule("stack use depends on input", "alloca"),
    Rule("memory comes from the allocator that was handed over",
         "malloc calloc realloc reallocarray free aligned_alloc posix_memalign memalign valloc "
         "strdup strndup asprintf vasprintf",
         LIBRARY, ("core/src/base/",), also_as_value=True),
    Rule("a library never ends the process",
         "exit _exit _Exit quick_exit abort raise", LIBRARY, ("core/src/loader/probe/",)),
    Rule("a library installs no signal handler", "signal sigaction", LIBRARY,
         ("core/src/loader/probe/",)),
    Rule("a library never forks the host or runs a shell", "fork vfork system popen", LIBRARY),
    Rule("a library does not write to the host's terminal",
         "printf vprintf puts putchar perror", LIBRARY, ("core/src/loader/probe/",)),
    Rule("a library does not change the state of the process",
         "setenv putenv unsetenv setlocale chdir umask srand", LIBRARY,
         ("core/src/loader/probe/",)),
)


def find_violations(files):
    violations = []
    for source in files:
        for rule in RULES:
            if not rule.applies_to(source.path):
                continue
            for match in rule.pattern.finditer(source.code):
                name = next(group for group in match.groups() if group)
                violations.append(f"{source.path}:{source.line_of(match.start())}: "
                                  f"{name}: {rule.reason}")
    return violations


if __name__ == "__main__":
    sys.exit(source_tree.main("banned", find_violations))
