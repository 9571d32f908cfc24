#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Self-test of the tree checks: every seeded violation must be found, and clean text must pass."""

import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))

import check_arrows
import check_banned
import check_links
import check_listed
import check_sizes
import check_symbols
import check_text
import source_tree
import test_summary

CLEAN_TREE = {
    "abi/include/tenon/abi/a.h": "#include <stdint.h>\n#include \"tenon/abi/b.h\"\n",
    "abi/include/tenon/abi/b.h": "#include <stddef.h>\n",
    "abi/helper/helper.h": "#include <string.h>\n#include \"tenon/abi/a.h\"\n",
    "partitioner/include/tenon/partition.h": "#include <stdint.h>\n",
    "partitioner/src/cut.c": "#include \"cut.h\"\n#include \"tenon/partition.h\"\n",
    "partitioner/src/cut.h": "#include <stdlib.h>\n",
    "core/include/tenon/tenon.h": "#include <stdint.h>\n",
    "core/src/base/arena.c": "#include \"base/arena.h\"\nvoid f(void) {\n    free(p);\n}\n",
    "core/src/base/arena.h": "#include <tenon/abi/a.h>\n",
    "core/src/loader/open.c": "#include <dlfcn.h>\nvoid f(void) {\n    dlopen(path, 0);\n}\n",
    "plugins/one/plugin.c": "#include \"kernels/add.h\"\n#include \"helper.h\"\n",
    "plugins/one/kernels/add.h": "#include <math.h>\n",
    "plugins/one/kernels/mul.c": "#include \"kernels/add.h\"\n#include \"generated/mul.h\"\n",
    "tools/tenon/main.c": "#include \"tenon/tenon.h\"\n// #include \"nowhere.h\"\n",
    "tools/tensor_proto/proto.h": "#include \"tenon/tenon.h\"\n",
    "conformance/onnx/suite.c": "#include \"proto.h\"\n",
    "tests/unit/base/arena_test.c": "#include \"base/arena.h\"\n#include <cmocka.h>\n",
}


def load(files):
    """Writes files to a temporary tree and reads them back the way a check does."""
    with tempfile.TemporaryDirectory() as folder:
        for path, text in files.items():
            target = pathlib.Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        found = source_tree.sources(folder)
        for source in found:
            assert source.code is not None
        return found


class ArrowsTest(unittest.TestCase):
    SEEDS = {
        "plugin sees core": ("plugins/one/x.c", "#include \"tenon/tenon.h\"\n"),
        "plugin sees core's inside": ("plugins/one/x.c", "#include \"base/arena.h\"\n"),
        "plugin sees another plugin": ("plugins/two/x.c", "#include \"../one/kernels/add.h\"\n"),
        "core sees a plugin": ("core/src/plan/x.c", "#include \"../../../plugins/one/kernels/add.h\"\n"),
        "core sees a plugin from the root": ("core/src/plan/x.c", "#include \"plugins/one/kernels/add.h\"\n"),
        "core sees the partitioner's inside": ("core/src/plan/x.c", "#include \"cut.h\"\n"),
        "partitioner sees the abi": ("partitioner/src/x.c", "#include \"tenon/abi/a.h\"\n"),
        "partitioner sees core": ("partitioner/src/x.c", "#include \"base/arena.h\"\n"),
        "partitioner sees the system": ("partitioner/src/x.c", "#include <unistd.h>\n"),
        "abi sees core": ("abi/include/tenon/abi/x.h", "#include \"tenon/tenon.h\"\n"),
        "abi sees the helper": ("abi/include/tenon/abi/x.h", "#include \"helper.h\"\n"),
        "abi sees a third header": ("abi/include/tenon/abi/x.h", "#include <stdbool.h>\n"),
        "tool sees core's inside": ("tools/tenon/x.c", "#include \"base/arena.h\"\n"),
        "example sees core's inside": ("examples/embed/x.c", "#include \"base/arena.h\"\n"),
        "conformance sees the loader": ("conformance/x.c", "#include \"../core/src/base/arena.h\"\n"),
        "public header sees the inside": ("core/include/tenon/x.h", "#include \"base/arena.h\"\n"),
        "shipped code sees tests": ("core/src/base/x.c", "#include \"unit/x.h\"\n"),
        "header that does not exist": ("core/src/base/x.c", "#include \"base/nothing.h\"\n"),
        "dlopen outside the loader": ("core/src/exec/x.c", "void f(void) {\n    dlopen(0, 0);\n}\n"),
        "dlsym in a plugin": ("plugins/one/x.c", "void f(void) {\n    g = dlsym (h, n);\n}\n"),
    }

    def test_clean_tree_passes(self):
        self.assertEqual(check_arrows.find_violations(load(CLEAN_TREE)), [])

    def test_each_seed_is_found(self):
        for name, (path, text) in self.SEEDS.items():
            with self.subTest(seed=name):
                files = dict(CLEAN_TREE, **{path: text, "tests/unit/x.h": "\n"})
                found = check_arrows.find_violations(load(files))
                self.assertEqual(len(found), 1, found)
                self.assertIn(path, found[0])


def function_of(lines, name="f"):
    return f"int {name}(int a,\n      int b) {{\n" + "    g();\n" * (lines - 3) + "}\n"


class SizesTest(unittest.TestCase):
    def find(self, text, path="core/src/base/x.c"):
        return check_sizes.find_violations(load({path: text}))

    def test_limits_pass(self):
        self.assertEqual(self.find(function_of(70)), [])
        self.assertEqual(self.find("int a;\n" * 800), [])
        self.assertEqual(self.find("int a;\n" * 400, "core/src/base/x.h"), [])

    def test_long_function_is_found(self):
        found = self.find("struct s {\n    int a;\n};\n" + function_of(71, "long_one"))
        self.assertEqual(found, ["core/src/base/x.c:4: long_one has 71 lines, at most 70"])

    def test_long_function_after_noise_is_found(self):
        noise = ("#ifdef __cplusplus\nextern \"C\" {\n#endif\n"
                 "static const char *brace = \"}{\"; // }\n"
                 "#define BLOCK(x) do { \\\n    x; \\\n} while (0)\n"
                 "#if A\nint f(void) {\n#else\nint f(int a) {\n#endif\n}\n"
                 "static const int table[] = {\n" + "    1,\n" * 100 + "};\n")
        self.assertEqual(self.find(noise), [])
        self.assertEqual(len(self.find(noise + function_of(71))), 1)

    def test_long_files_are_found(self):
        self.assertEqual(len(self.find("int a;\n" * 801)), 1)
        self.assertEqual(len(self.find("int a;\n" * 401, "core/src/base/x.h")), 1)
        self.assertEqual(self.find("int a;\n" * 2000, "core/src/base/op_table.c"), [])


class BannedTest(unittest.TestCase):
    SEEDS = {
        "core/src/exec/a.c": ["malloc(1)", "p = calloc (1, 2)", "realloc(p, 1)", "free(p)",
                              "hooks(malloc, q)", "strdup(s)", "asprintf(&p, q)", "exit(1)",
                              "abort()", "printf(s)", "fork()", "sigaction(a, b, c)",
                              "sprintf(a, b)", "setenv(a, b, 1)"],
        "partitioner/src/a.c": ["malloc(1)", "free(p)"],
        "plugins/one/a.c": ["malloc(1)", "puts(s)"],
        "abi/helper/a.c": ["free(p)"],
        "core/src/base/a.c": ["strcpy(a, b)", "strcat(a, b)", "atoi(s)", "gets(s)", "alloca(9)"],
        "tests/unit/a.c": ["strcpy(a, b)", "sprintf(a, b)", "atoi(s)", "strtok(s, t)"],
        "tools/tenon/a.c": ["vsprintf(a, b, c)", "atof(s)"],
    }
    CLEAN = {
        "core/src/exec/a.c": ["a->free(p)", "a.free(p)", "tni_free(a, p)", "snprintf(a, 1, b)",
                              "strcpy_checked(a)", "f(\"free(p)\")", "g() /* malloc(1) */"],
        "core/src/base/a.c": ["malloc(1)", "free(p)"],
        "tests/unit/a.c": ["malloc(1)", "printf(s)", "exit(1)"],
        "tools/tenon/a.c": ["free(p)", "printf(s)"],
        "core/src/loader/probe/main.c": ["_exit(1)"],
    }

    def find(self, path, call):
        return check_banned.find_violations(load({path: f"void f(void) {{\n    {call};\n}}\n"}))

    def test_each_seed_is_found(self):
        for path, calls in self.SEEDS.items():
            for call in calls:
                with self.subTest(path=path, call=call):
                    self.assertEqual(len(self.find(path, call)), 1)

    def test_clean_calls_pass(self):
        for path, calls in self.CLEAN.items():
            for call in calls:
                with self.subTest(path=path, call=call):
                    self.assertEqual(self.find(path, call), [])


class TextTest(unittest.TestCase):
    HEAD = "// SPDX-License-Identifier: Apache-2.0\n// What it is for.\n"
    SEEDS = {
        "no licence": "// What it is for.\nint a;\n",
        "no head": "// SPDX-License-Identifier: Apache-2.0\nint a;\n",
        "tab": HEAD + "\tint a;\n",
        "trailing blank": HEAD + "int a; \n",
        "long line": HEAD + "int " + "a" * 97 + ";\n",
        "no newline at the end": HEAD + "int a;",
        "blank line at the end": HEAD + "int a;\n\n",
        "leftover": HEAD + "// TODO: more.\n",
        "invisible character": HEAD + "int a\u200b;\n",
    }

    def find(self, text, path="core/src/base/a.c"):
        return check_text.find_violations(load({path: text}))

    def test_clean_text_passes(self):
        self.assertEqual(self.find(self.HEAD + "int " + "a" * 95 + ";\n"), [])
        guard = "#ifndef A_H\n#define A_H\n#endif // A_H\n"
        self.assertEqual(self.find(self.HEAD + guard, "core/src/base/a.h"), [])

    def test_each_seed_is_found(self):
        for name, text in self.SEEDS.items():
            with self.subTest(seed=name):
                self.assertEqual(len(self.find(text)), 1)

    def test_missing_guard_is_found(self):
        self.assertEqual(len(self.find(self.HEAD + "int a;\n", "core/src/base/a.h")), 1)


class SymbolsTest(unittest.TestCase):
    ENTRY = "int tn_plugin_entry_1(void);\nint tn_plugin_entry_1(void) { return 0; }\n"

    def build(self, folder, code, *flags):
        path = str(pathlib.Path(folder, "library.so"))
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path, *flags],
                       input=code, text=True, check=True)
        return path

    def plugin(self, code):
        with tempfile.TemporaryDirectory() as folder:
            return check_symbols.check([self.build(folder, code)], [], [])[1]

    def library(self, code):
        with tempfile.TemporaryDirectory() as folder:
            return check_symbols.check([], [self.build(folder, code)], [])[1]

    def test_clean_binaries_pass(self):
        self.assertEqual(self.plugin(self.ENTRY), [])
        self.assertEqual(self.library("int tn_f(void) { return 1; }\n"), [])

    def test_wrong_exports_are_found(self):
        self.assertEqual(len(self.plugin(self.ENTRY + "int extra;\n")), 1)
        self.assertEqual(len(self.plugin("static int a;\n")), 1)
        self.assertEqual(len(self.library("int tni_f(void) { return 1; }\n")), 1)
        self.assertEqual(len(self.library("static int a;\n")), 1)

    def test_network_imports_are_found(self):
        for name in ("socket", "connect", "getaddrinfo"):
            with self.subTest(name=name):
                code = f"int {name}();\nint tn_f(void) {{ return {name}(); }}\n"
                self.assertEqual(len(self.library(code)), 1)

    def test_missing_file_is_found(self):
        self.assertTrue(check_symbols.check(["/nonexistent.so"], [], [])[1])


class LinksTest(unittest.TestCase):
    def find(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                target = pathlib.Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            return check_links.find_violations(pathlib.Path(folder))[1]

    def test_good_links_pass(self):
        self.assertEqual(self.find({"README.md": "[a](core/README.md#x) [b](https://x.y/z) [c](#d)",
                                    "core/README.md": "[up](../README.md)\n```c\na[i](x)\n```\n"}), [])

    def test_dead_link_and_missing_readme_are_found(self):
        self.assertEqual(len(self.find({"README.md": "[a](nowhere.md)"})), 1)
        self.assertEqual(len(self.find({"docs/guide/a.md": "[a](../b.md)", "docs/README.md": ""})), 1)
        self.assertEqual(len(self.find({"core/src/a.c": ""})), 1)


class ListedTest(unittest.TestCase):
    TREE = {
        "core/CMakeLists.txt": "add_library(core src/a.c) # src/forgotten.c\n",
        "core/src/a.c": "",
        "tests/unit/base/CMakeLists.txt": "tenon_add_test(NAME b SOURCES b_test.c)\n",
        "tests/unit/base/b_test.c": "",
        "cmake/TenonFuzz.cmake": "target_sources(x ${PROJECT_SOURCE_DIR}/tests/fuzz/main.c)\n",
        "tests/fuzz/main.c": "",
    }

    def find(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for path, text in files.items():
                target = pathlib.Path(folder, path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            return check_listed.find_violations(pathlib.Path(folder),
                                                source_tree.sources(folder, (".c",)))

    def test_listed_sources_pass(self):
        self.assertEqual(self.find(self.TREE), [])

    def test_unlisted_sources_are_found(self):
        for path in ("core/src/forgotten.c", "core/src/graph/a.c", "tests/unit/base/c_test.c",
                     "tests/unit/main.c"):
            with self.subTest(path=path):
                self.assertEqual(len(self.find(dict(self.TREE, **{path: ""}))), 1)


class SummaryTest(unittest.TestCase):
    REPORT = ('<testsuite><testcase name="a" status="run"/>'
              '<testcase name="b" status="fail"><failure message="x"/></testcase>'
              '<testcase name="c" status="notrun"><skipped message="s"/></testcase>'
              '<testcase name="d" status="notrun"/></testsuite>')

    def summarise(self, text, floor):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "junit.xml")
            if text is not None:
                path.write_text(text, encoding="utf-8")
            return test_summary.summarise([("dev", str(path))], {"dev": floor})

    def test_counts(self):
        self.assertEqual(self.summarise(self.REPORT, 3), (1, 2))

    def test_small_missing_and_broken_reports_fail(self):
        self.assertEqual(self.summarise("<testsuite/>", 1), (0, 1))
        self.assertEqual(self.summarise(None, 0), (0, 1))
        self.assertEqual(self.summarise("<testsuite>", 0), (0, 1))


class ReportTest(unittest.TestCase):
    def test_empty_tree_fails(self):
        self.assertEqual(source_tree.report("check", [], 0), 1)
        self.assertEqual(source_tree.report("check", ["a"], 1), 1)
        self.assertEqual(source_tree.report("check", [], 1), 0)


if __name__ == "__main__":
    unittest.main(buffer=True)
