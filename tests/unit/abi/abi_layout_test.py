#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Changes the ABI headers in a copy of the tree; each change of layout must be found and named
(ABI-1)."""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(sys.argv.pop(1)).resolve()


class LayoutTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        shutil.copytree(SOURCE / "abi" / "include", self.root / "abi" / "include")
        shutil.copytree(SOURCE / "abi" / "layout", self.root / "abi" / "layout")

    def change(self, header, old, new):
        path = self.root / "abi" / "include" / "tenon" / "abi" / header
        text = path.read_text()
        self.assertEqual(text.count(old), 1, f"{header} no longer has {old!r} once")
        path.write_text(text.replace(old, new))

    def run_tool(self, mode):
        return subprocess.run([sys.executable, str(SOURCE / "scripts" / "abi_layout.py"), mode,
                               "--root", str(self.root)], capture_output=True, text=True)

    def digests(self):
        text = (self.root / "abi" / "include" / "tenon" / "abi" / "digest.h").read_text()
        return dict(re.findall(r"#define (TN_DIGEST_\w+) (\w+)", text))

    def check_finds(self, *names):
        result = self.run_tool("--check")
        self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
        for name in names:
            self.assertIn(name, result.stdout)

    def test_unchanged_headers_pass(self):
        result = self.run_tool("--check")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_new_member_is_found(self):
        self.change("memory.h", "    uint64_t granularity_bytes;",
                    "    uint64_t granularity_bytes;\n    uint64_t surprise;")
        self.check_finds("tn_heap_info", "surprise", "TN_DIGEST_MEMORY")

    def test_changed_sign_is_found(self):
        self.change("exec.h", "int32_t priority;", "uint32_t priority;")
        self.check_finds("priority", "TN_DIGEST_EXEC")

    def test_changed_signature_is_found(self):
        self.change("sync.h", "(*fence_signal)(tn_fence *fence, uint64_t value,",
                    "(*fence_signal)(tn_fence *fence, uint32_t value,")
        self.check_finds("fence_signal", "TN_DIGEST_SYNC")

    def test_changed_constant_is_found(self):
        self.change("compile.h", "#define TN_PORT_OUTPUT 1u", "#define TN_PORT_OUTPUT 3u")
        self.check_finds("TN_PORT_OUTPUT")

    def test_digest_follows_what_the_table_reaches_and_nothing_else(self):
        before = self.digests()
        self.change("graph.h", "uint32_t expansion;", "uint64_t expansion;")
        self.assertEqual(self.run_tool("--write").returncode, 0)
        changed = {name for name, value in self.digests().items() if before[name] != value}
        self.assertIn("TN_DIGEST_COMPILE", changed)
        self.assertIn("TN_DIGEST_BLOB", changed)
        self.assertNotIn("TN_DIGEST_SYNC", changed)
        self.assertNotIn("TN_DIGEST_MEMORY", changed)

    def test_comments_and_parameter_names_change_no_digest(self):
        before = self.digests()
        self.change("sync.h", "(*fence_query)(tn_fence *fence, uint64_t *out_value,",
                    "(*fence_query)(tn_fence *the_fence, uint64_t *out_reached,")
        self.assertEqual(self.run_tool("--write").returncode, 0)
        self.assertEqual(before, self.digests())


if __name__ == "__main__":
    unittest.main(verbosity=2)
