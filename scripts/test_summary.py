#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up JUnit reports written by ctest and prints one closing line: N passed, N failed.

usage: test_summary.py [--floor-file FILE] NAME=REPORT...

A report that is missing, unreadable or smaller than its floor counts as a failure, so that a run in
which nothing ran cannot look green. FILE holds lines "NAME minimum-number-of-passed-tests".
"""

import argparse
import sys
import xml.etree.ElementTree as ElementTree


def read_floors(path):
    floors = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            fields = line.split("#")[0].split()
            if fields:
                floors[fields[0]] = int(fields[1])
    return floors


def read_report(path):
    """Returns (passed, failed names, skipped names)."""
    passed, failed, skipped = 0, [], []
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = case.get("name", "?")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is not None:
            skipped.append(name)
        elif case.get("status") == "run":
            passed += 1
        else:
            failed.append(f"{name} ({case.get('status')})")
    return passed, failed, skipped


def summarise(reports, floors):
    """reports: list of (name, path). Returns (passed, failed) and prints one line a report."""
    total_passed, total_failed = 0, 0
    for name, path in reports:
        try:
            passed, failed, skipped = read_report(path)
        except (OSError, ElementTree.ParseError) as error:
            print(f"{name}: no report: {error}")
            total_failed += 1
            continue
        print(f"{name}: {passed} passed, {len(failed)} failed, {len(skipped)} skipped")
        for title, names in (("failed", failed), ("skipped", skipped)):
            for test in names:
                print(f"  {title}: {test}")
        floor = floors.get(name, 1)
        if passed + len(failed) < floor:
            print(f"  failed: only {passed} tests passed and at least {floor} are expected")
            total_failed += 1
        total_passed += passed
        total_failed += len(failed)
    return total_passed, total_failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--floor-file")
    parser.add_argument("reports", nargs="+", metavar="NAME=REPORT")
    arguments = parser.parse_args()
    floors = read_floors(arguments.floor_file) if arguments.floor_file else {}
    reports = [report.split("=", 1) for report in arguments.reports]
    passed, failed = summarise(reports, floors)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
