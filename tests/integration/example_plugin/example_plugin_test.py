#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds examples/plugin the way its README says, against a fresh installation, and runs it."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env=dict(os.environ, DESTDIR=""), check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("source", "build", "work", "runner"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--sanitize", default="")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    prefix, project, build = (options.work / part for part in ("prefix", "project", "build"))
    run("cmake", "--install", options.build, "--prefix", prefix)
    # A copy, so that nothing of the repository can be found by a relative path.
    shutil.copytree(options.source / "examples" / "plugin", project)
    flags = "-Wall -Wextra -Wpedantic -Werror"
    if options.sanitize:
        flags += f" -fsanitize={options.sanitize}"
    run("cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_C_COMPILER={options.compiler}", f"-DCMAKE_C_FLAGS={flags}",
        *(["-DTENON_SANITIZE=" + options.sanitize] if options.sanitize else []))
    run("cmake", "--build", build)
    libraries = list(build.rglob("relu.so"))
    manifests = list(build.rglob("relu.tenon.json"))
    if len(libraries) != 1 or len(manifests) != 1 or libraries[0].parent != manifests[0].parent:
        sys.exit(f"expected one relu.so with its manifest, found {libraries} and {manifests}")
    print(run(options.runner, libraries[0]), end="")


if __name__ == "__main__":
    main()
