#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom, and who may open libraries.

    plugins -> abi                                   (each plugin only itself besides, and the GPU
                                                      plugins what they share in plugins/gpu)
    core -> abi, partitioner
    partitioner -> nothing
    conformance, tools, hosts, examples, bench -> core's public headers, abi
    tools/partition, bench -> partitioner            (measuring it on its own)
    conformance -> tools/tensor_proto                (reading test data, which `tenon run` does too)
    nothing -> plugins

The headers of the ABI see <stdint.h> and <stddef.h> only; the partitioner and the public headers of
core see C standard headers; the ABI's helper sees <pthread.h> besides. dlopen and its kin are called in core/src/loader only.
Includes are resolved against the tree: a quoted include that resolves to nothing is a violation,
unless it is written "generated/..." (made by the build).

usage: check_arrows.py REPOSITORY
"""

import posixpath
import re
import sys

import source_tree

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
INCLUDE_ROOTS = ("abi/include", "abi/helper", "abi/helper/include", "partitioner/include",
                 "partitioner/src", "core/include", "core/src", "conformance", "tools/tensor_proto",
                 "tools/partition", "tests", "")
STANDARD_HEADERS = {f"{name}.h" for name in (
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal "
    "stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath "
    "threads time uchar wchar wctype").split()}
SYSTEM_ALLOWED = {"abi": {"stdint.h", "stddef.h"},
                  "abi-helper": STANDARD_HEADERS | {"pthread.h"},
                  "partitioner": STANDARD_HEADERS,
                  "partitioner-public": STANDARD_HEADERS,
                  "core-public": STANDARD_HEADERS}
ALLOWED = {"abi": {"abi"},
           "abi-helper": {"abi", "abi-helper"},
           "partitioner-public": {"partitioner-public"},
           "partitioner": {"partitioner-public", "partitioner"},
           "core-public": {"core-public", "abi"},
           "core": {"core-public", "core", "abi", "partitioner-public"},
           "conformance": {"core-public", "abi", "abi-helper", "conformance"},
           "tools": {"core-public", "abi", "tools"},
           "tools/partition": {"partitioner-public"},
           "tools/tensor_proto": {"core-public", "abi"},
           "hosts": {"core-public", "abi", "hosts"},
           "examples": {"core-public", "abi", "abi-helper", "examples"},
           "bench": {"core-public", "abi", "bench", "partitioner-public"},
           "tests": {"abi", "abi-helper", "partitioner-public", "partitioner", "core-public", "core",
                     "conformance", "tools", "tests"}}
LOADER_CALL = re.compile(r"(?<![\w.>])(dlopen|dlmopen|dlsym|dlvsym)\s*\(")


# Libraries inside a part of the house that some others link in.
SHARED = {"plugins/gpu": ("plugins/opencl", "plugins/vulkan"),
          "tools/partition": ("bench", "tests", "tools/partition"),
          "tools/tensor_proto": ("conformance", "tools", "tests")}


def component(path):
    """The part of the house that a file belongs to; plugins are parts of their own."""
    parts = path.split("/")
    if parts[0] == "abi":
        return "abi-helper" if parts[1] == "helper" else "abi"
    if parts[0] in ("core", "partitioner") and parts[1] == "include":
        return f"{parts[0]}-public"
    if parts[0] == "plugins" or "/".join(parts[:2]) in SHARED:
        return "/".join(parts[:2])
    return parts[0]


def allowed(source_path, target):
    origin = component(source_path)
    if origin.startswith("plugins/"):
        return target in ("abi", "abi-helper", origin) or origin in SHARED.get(target, ())
    if target.startswith("plugins/"):
        # A plugin's own unit tests are the one place that may look inside it.
        return source_path.startswith("tests/unit/plugins/")
    return target == origin or target in ALLOWED[origin] or origin in SHARED.get(target, ())


def resolve(source_path, quoted, name, known):
    """The tree's file that this include means, or None for a system header."""
    roots = ((posixpath.dirname(source_path),) if quoted else ()) + INCLUDE_ROOTS
    for root in roots:
        candidate = posixpath.normpath(posixpath.join(root, name))
        if candidate in known:
            return candidate
    # Headers private to a plugin or a tool may be named from that folder's own root.
    parts = source_path.split("/") if quoted else []
    for depth in range(1, len(parts)):
        candidate = posixpath.normpath("/".join(parts[:depth] + [name]))
        if candidate in known:
            return candidate
    return None


def check_include(source, line, quoted, name, known):
    """Returns the complaint about one include, or None."""
    where = f"{source.path}:{line}"
    origin = component(source.path)
    target = resolve(source.path, quoted, name, known)
    if target is not None:
        if not allowed(source.path, component(target)):
            return f"{where}: {origin} must not include {target} ({component(target)})"
        return None
    if quoted or name.startswith("tenon/"):
        if name.startswith("generated/"):
            return None
        return f"{where}: {name} is not in the tree"
    if name not in SYSTEM_ALLOWED.get(origin, {name}):
        return f"{where}: {origin} must not include <{name}>"
    return None


def find_violations(files):
    known = {source.path for source in files}
    violations = []
    for source in files:
        # Strings are blanked in .code, so includes are read from the text and comments skipped.
        code_lines = source.code.split("\n")
        for match in INCLUDE.finditer(source.text):
            line = source.text.count("\n", 0, match.end()) + 1
            if "include" not in code_lines[line - 1]:
                continue
            complaint = check_include(source, line, match.group(1) == '"', match.group(2), known)
            if complaint:
                violations.append(complaint)
        if not source.path.startswith(("core/src/loader/", "tests/")):
            for match in LOADER_CALL.finditer(source.code):
                violations.append(f"{source.path}:{source.line_of(match.start())}: "
                                  f"{match.group(1)} is called in core/src/loader only")
    return violations


if __name__ == "__main__":
    sys.exit(source_tree.main("arrows", find_violations))
