#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Relative links in Markdown files lead somewhere, and every top folder has a README.

usage: check_links.py REPOSITORY
"""

import pathlib
import re
import sys

import source_tree

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FOLDERS = source_tree.TOP_FOLDERS + ("docs", "cmake", "scripts")


def documents(root):
    found = sorted(root.glob("*.md"))
    for folder in FOLDERS:
        found += sorted((root / folder).rglob("*.md"))
    return found


def find_violations(root):
    """Returns (documents read, complaints)."""
    violations = [f"{folder}: no README.md" for folder in FOLDERS
                  if (root / folder).is_dir() and not (root / folder / "README.md").is_file()]
    paths = documents(root)
    for path in paths:
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"),
                      flags=re.MULTILINE | re.DOTALL)
        for target in LINK.findall(text):
            if "://" in target or target.startswith(("#", "mailto:")):
                continue
            if not (path.parent / target.split("#")[0]).exists():
                violations.append(f"{path.relative_to(root)}: {target} does not exist")
    return len(paths), violations


def main():
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} REPOSITORY", file=sys.stderr)
        return 2
    count, violations = find_violations(pathlib.Path(sys.argv[1]))
    return source_tree.report("links", violations, count)


if __name__ == "__main__":
    sys.exit(main())
