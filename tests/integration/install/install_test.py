#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Installs a build into a fresh prefix and uses it the way an outsider does.

usage: install_test.py --source DIR --build DIR --work DIR --compiler CC [--model FILE]
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))

import check_symbols

MANIFEST_KEYS = ["manifest_version", "name", "vendor", "description", "library", "target", "abi",
                 "sha256", "requires_cpu", "requires_path", "license"]


def run(*command, **environment):
    """Runs a command; on failure shows its output and ends the test."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          env=dict(os.environ, **environment), check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def expect(condition, what):
    print(f"{'ok  ' if condition else 'FAIL'} {what}")
    if not condition:
        sys.exit(1)


def check_manifest(path):
    """The manifest has its keys in order and the digest of the library beside it."""
    manifest = json.loads(path.read_text(encoding="utf-8"))
    library = path.with_name(manifest["library"])
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    expect(list(manifest) == MANIFEST_KEYS, f"{path.name}: keys")
    expect(manifest["sha256"] == digest, f"{path.name}: digest of {library.name}")
    expect(manifest["target"]["os"] == "linux" and manifest["manifest_version"] == 1,
           f"{path.name}: target")
    return manifest


def check_own_plugin(source, work, prefix, compiler):
    """A plugin project that sees only the installed package builds, and its own install is right."""
    project, build, stage = work / "plugin", work / "plugin-build", work / "plugin-stage"
    shutil.copytree(HERE / "plugin", project)
    shutil.copytree(source / "plugins" / "null", project / "null")
    run("cmake", "-G", "Ninja", "-S", project, "-B", build, f"-DCMAKE_C_COMPILER={compiler}",
        f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_INSTALL_PREFIX={stage}",
        "-DCMAKE_C_FLAGS=-Wall -Wextra -Wpedantic -Werror")
    run("cmake", "--build", build)
    run("cmake", "--install", build, "--strip")
    installed = list(stage.rglob("outside.tenon.json"))
    expect(len(installed) == 1 and installed[0].parent.match("tenon/plugins"), "plugin installed")
    manifest = check_manifest(installed[0])
    expect(manifest["vendor"] == 'A "quoted" vendor', "vendor text is quoted")
    expect(manifest["description"].endswith("; with a semicolon"), "description text is whole")
    expect(manifest["requires_cpu"] == ["avx2", "fma"], "CPU requirements")
    expect(manifest["requires_path"] == ["/dev/dri", "/dev/a b"], "path requirements")
    check_manifest(installed[0].with_name("cloned.tenon.json"))
    for name in ("outside.so", "cloned.so"):
        faults = check_symbols.plugin_faults(str(installed[0].with_name(name)))
        expect(not faults, f"{name} exports only the entry {faults}")


def build_with_pkg_config(prefix, compiler, program):
    """Compiles a C file with what pkg-config says. Returns (executable, its environment)."""
    pc_dir = next(prefix.rglob("tenon.pc")).parent
    flags = run("pkg-config", "--cflags", "--libs", "tenon", PKG_CONFIG_PATH=str(pc_dir)).split()
    executable = program.with_suffix("")
    run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", program,
        "-o", executable, *flags)
    return executable, {"LD_LIBRARY_PATH": str(pc_dir.parent)}


def check_pkg_config(work, prefix, compiler):
    """A program finds the headers and the library through pkg-config."""
    program = work / "program.c"
    program.write_text("#include <tenon/abi/version.h>\nint main(void) {\n"
                       "    return TN_ABI_VERSION_MAJOR == 1 ? 0 : 1;\n}\n", encoding="utf-8")
    executable, environment = build_with_pkg_config(prefix, compiler, program)
    run(executable, **environment)
    expect(True, "program built through pkg-config runs")


def check_readme(source, work, prefix, compiler, model):
    """The program in README.md compiles and runs, with the installed plugins and nothing else."""
    text = (source / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```c\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    expect(len(blocks) == 1, "README.md has one C program")
    program = work / "readme.c"
    program.write_text(blocks[0], encoding="utf-8")
    executable, environment = build_with_pkg_config(prefix, compiler, program)
    output = run(executable, model, **environment)
    expect(re.fullmatch(r"first output: -?[0-9.e+-]+\n", output), f"README program: {output.strip()}")
    bad = subprocess.run([executable, source / "README.md"], capture_output=True, text=True,
                         env=dict(os.environ, **environment), check=False)
    expect(bad.returncode == 1 and bad.stderr.strip() and not bad.stdout,
           f"README program on a file that is no model: {bad.stderr.strip()}")


def check_embed(source, work, prefix, model):
    """examples/embed builds with find_package against the installation and classifies."""
    build = work / "embed"
    run("cmake", "-S", source / "examples/embed", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    run("cmake", "--build", build)
    output = run(build / "embed", model)
    values = [float(line.split(": ")[1]) for line in output.splitlines()]
    expect(len(values) == 10 and abs(sum(values) - 1) < 1e-3, "examples/embed gives ten probabilities")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for name in ("source", "build", "work"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--model", type=pathlib.Path)
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    # Installed, then moved: nothing in the CMake package may remember where it was made.
    first, prefix = options.work / "first", options.work / "prefix"
    run("cmake", "--install", options.build, "--prefix", first)
    first.rename(prefix)
    for name in ("include/tenon/abi/version.h", "include/tenon/abi/plugin.h"):
        expect((prefix / name).is_file(), f"installed {name}")
    for manifest in sorted(prefix.rglob("*.tenon.json")):
        check_manifest(manifest)
    check_own_plugin(options.source, options.work, prefix, options.compiler)
    check_pkg_config(options.work, prefix, options.compiler)
    if options.model:
        check_readme(options.source, options.work, prefix, options.compiler, options.model)
        check_embed(options.source, options.work, prefix, options.model)


if __name__ == "__main__":
    main()
