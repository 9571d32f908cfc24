#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Self-test of check_headers.py: seeded faults must be found."""

import pathlib
import tempfile
import unittest

import check_headers

GOOD = "#ifndef GOOD_H\n#define GOOD_H\n#include <stdint.h>\ntypedef struct g { int32_t a; } g;\n#endif\n"
FAULTS = {
    "not self-contained": ("c11", "uint32_t f(void);\n"),
    "no include guard": ("c11", "struct a { int x; };\n"),
    "C++ keyword": ("c++11", "#ifndef A_H\n#define A_H\nint class;\n#endif\n"),
    "C++ incompatible cast": ("c++17", "#ifndef A_H\n#define A_H\nstatic int *a = (void *)0;\n#endif\n"),
    "newer language": ("c11", "#ifndef A_H\n#define A_H\n[[nodiscard]] int f(void);\n#endif\n"),
    "extension": ("c17", "#ifndef A_H\n#define A_H\nstruct a { int n; int x[0]; };\n#endif\n"),
    "old prototype": ("c17", "#ifndef A_H\n#define A_H\nint f();\n#endif\n"),
}


class CheckHeadersTest(unittest.TestCase):
    def run_on(self, level, text):
        compiler = "g++" if level.startswith("c++") else "gcc"
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            if text is not None:
                (root / "a.h").write_text(text, encoding="utf-8")
            return check_headers.main(["--compiler", compiler, "--level", level, folder])

    def test_clean_header_passes(self):
        for level in ("c11", "c17", "c++11", "c++17", "c++20"):
            with self.subTest(level=level):
                self.assertEqual(self.run_on(level, GOOD), 0)

    def test_each_fault_is_found(self):
        for name, (level, text) in FAULTS.items():
            with self.subTest(fault=name):
                self.assertEqual(self.run_on(level, text), 1)

    def test_empty_folder_fails(self):
        self.assertEqual(self.run_on("c11", None), 1)


if __name__ == "__main__":
    unittest.main()
