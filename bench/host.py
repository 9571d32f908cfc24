#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a host takes to start with every plugin of the build, probed and on recorded verdicts.

    host.py TENON PLUGIN_DIR [PAIRS]

Whole `tenon plugins` processes in turn, both with a cache folder of their own: one emptied before
each start, so that every plugin is probed, one left as it is. Medians.
"""
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def measure(command, cache):
    """Wall seconds of one process."""
    environment = dict(os.environ, XDG_CACHE_HOME=cache)
    begin = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begin


def main():
    tenon, plugins = sys.argv[1:3]
    pairs = int(sys.argv[3]) if len(sys.argv) > 3 else 15
    command = [tenon, "plugins", "--plugin-dir", plugins]
    probed, recorded = [], []
    with tempfile.TemporaryDirectory() as folder:
        fresh, kept = os.path.join(folder, "fresh"), os.path.join(folder, "kept")
        for round_ in range(pairs + 1):
            shutil.rmtree(fresh, ignore_errors=True)
            rows = measure(command, fresh), measure(command, kept)
            if round_ > 0:  # the first round warms the file cache and makes the records
                probed.append(rows[0])
                recorded.append(rows[1])
    before, after = statistics.median(probed), statistics.median(recorded)
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores; {pairs} pairs, medians")
    print(f"start with all plugins (whole process): probed {before * 1e3:.1f} ms, on recorded "
          f"verdicts {after * 1e3:.1f} ms: ratio {before / after:.1f}")


if __name__ == "__main__":
    main()
