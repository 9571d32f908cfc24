#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every rule that the tree cites is in abi/CONTRACT.md, once, with a reason or a finder; and every rule
there is cited by a test, or listed in untested_rules.txt with what keeps it meanwhile.

usage: contract_test.py REPOSITORY
"""

import pathlib
import re
import sys

FOLDERS = ["abi", "core", "plugins", "conformance", "tools", "examples", "tests", "docs"]
SUFFIXES = {".c", ".h", ".md"}
# Where a citation counts as a test: not here, and not in the list.
TESTS = ["tests", "conformance"]
TEST_SUFFIXES = {".c", ".h", ".py"}


def find_untested(root, numbers):
    """Faults of the list of rules that no test cites."""
    cited = set()
    for folder in TESTS:
        for path in (root / folder).rglob("*"):
            if path.suffix in TEST_SUFFIXES and path.name != "contract_test.py":
                cited.update(map(int, re.findall(r"\bABI-(\d+)\b", path.read_text("utf-8"))))
    text = (root / "tests" / "unit" / "abi" / "untested_rules.txt").read_text("utf-8")
    listed = {int(number): reason for number, reason in
              re.findall(r"^ABI-(\d+)[ \t]+(.*)$", text, re.M)}
    return ([f"ABI-{n} is cited by no test, and not in untested_rules.txt" for n in numbers
             if n not in cited and not listed.get(n)] +
            [f"ABI-{n} is in untested_rules.txt, but a test cites it" for n in sorted(listed)
             if n in cited] +
            [f"untested_rules.txt names ABI-{n}, which does not exist" for n in sorted(listed)
             if n not in numbers])


def main():
    root = pathlib.Path(sys.argv[1])
    text = (root / "abi" / "CONTRACT.md").read_text(encoding="utf-8")
    rules = re.findall(r"^\*\*ABI-(\d+)\*\*(.*?)(?=^\*\*ABI-|^## |\Z)", text, re.M | re.S)
    numbers = [int(number) for number, _ in rules]
    faults = []
    if len(numbers) < 50:
        faults.append(f"only {len(numbers)} rules were found: has the form of a rule changed?")
    if numbers != sorted(set(numbers)):
        faults.append("rule numbers do not rise, or one is used twice")
    faults += [f"ABI-{number} does not say who can find a breach" for number, body in rules
               if not re.search(r"\*Found\s+by:\*", body)]
    for section in ("Errors", "Memory", "Fences", "Execution"):
        if f"\n## {section}\n" not in text:
            faults.append(f"section {section}, which a header names, is missing")
    cited = 0
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            for number in re.findall(r"\bABI-(\d+)\b", path.read_text(encoding="utf-8")):
                cited += 1
                if int(number) not in numbers and path.name != "README.md":
                    faults.append(f"{path.relative_to(root)} cites ABI-{number}, which does not exist")
    faults += find_untested(root, numbers)
    print(f"{len(numbers)} rules, {cited} citations, {len(faults)} faults")
    print("\n".join(faults))
    return 1 if faults or cited == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
