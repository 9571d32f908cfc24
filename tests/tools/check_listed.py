#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every C source is named in a CMakeLists.txt of its own or an enclosing folder, or in cmake/.

A source that no target lists is dead, and a test that no target lists is never run; neither would
show in any other way.

usage: check_listed.py REPOSITORY
"""

import pathlib
import re
import sys

import source_tree


def without_comments(text):
    return re.sub(r"#.*", "", text)


def names_in(folder):
    """The words that look like C files in this folder's CMake files."""
    words = set()
    for path in list(folder.glob("CMakeLists.txt")) + list(folder.glob("*.cmake")):
        text = without_comments(path.read_text(encoding="utf-8"))
        words.update(re.findall(r"[\w./${}-]+\.c\b", text))
    return words


def is_listed(root, path, cache):
    """path: relative to root. A list names a file by its path from the list's own folder."""
    for folder in path.parents:
        if folder not in cache:
            cache[folder] = names_in(root / folder)
        if path.relative_to(folder).as_posix() in cache[folder]:
            return True
    helpers = cache.setdefault("cmake", names_in(root / "cmake"))
    return any(word.endswith("/" + path.as_posix()) for word in helpers)


def find_violations(root, files):
    cache = {}
    return [f"{source.path}: no CMakeLists.txt lists it" for source in files
            if source.path.endswith(".c")
            and not is_listed(root, pathlib.PurePosixPath(source.path), cache)]


def main():
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} REPOSITORY", file=sys.stderr)
        return 2
    files = source_tree.sources(sys.argv[1], suffixes=(".c",))
    return source_tree.report("listed", find_violations(pathlib.Path(sys.argv[1]), files),
                              len(files))


if __name__ == "__main__":
    sys.exit(main())
