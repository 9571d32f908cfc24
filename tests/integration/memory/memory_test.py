#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A ResNet-50 of 100 MB: what it costs in memory after each phase, and where its weights lie.

    memory_test.py MEMORY_PROBE ZOO WORK_FOLDER
"""
import json
import pathlib
import subprocess
import sys

PROBE, ZOO, WORK = (pathlib.Path(a) for a in sys.argv[1:4])
COMPILE_LIMIT_KB = 16 * 1024


def main():
    subprocess.run([sys.executable, ZOO, "resnet50", "--out", WORK], check=True, timeout=120)
    result = subprocess.run([PROBE, WORK / "resnet50.onnx"], capture_output=True, text=True,
                            timeout=200)
    report = json.loads(result.stdout)
    assert report["status"] == "OK", report
    for phase in ("start", "load", "compile", "prepare", "run"):
        print(f"{phase:8} anonymous {report[phase]['anonymous_kb'] / 1024:7.1f} MiB, "
              f"file-backed {report[phase]['file_kb'] / 1024:7.1f} MiB")
    grown = report["compile"]["anonymous_kb"] - report["start"]["anonymous_kb"]
    print(f"anonymous growth from start to after compile: {grown / 1024:.1f} MiB; "
          f"{report['raw_weights']} raw weights, {report['outside_the_mapping']} outside the mapping")
    assert grown <= COMPILE_LIMIT_KB, grown
    assert report["raw_weights"] > 50 and report["outside_the_mapping"] == 0, report


if __name__ == "__main__":
    main()
