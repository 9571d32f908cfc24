#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the built binaries export and import (of plugins: ABI-2).

usage: check_symbols.py [--library FILE]... [--program FILE]... [--plugin FILE]...

A plugin exports tn_plugin_entry_1 and nothing else. A library exports tn_... (never tni_...) and at
least one function. Nothing imports a network function or needs a network library.
"""

import argparse
import re
import subprocess
import sys

ENTRY = "tn_plugin_entry_1"
NETWORK_SYMBOLS = {
    "socket", "connect", "bind", "listen", "accept", "accept4", "send", "sendto", "sendmsg",
    "sendmmsg", "recv", "recvfrom", "recvmsg", "recvmmsg", "getaddrinfo", "getnameinfo",
    "gethostbyname", "gethostbyname2", "gethostbyaddr", "getservbyname", "res_query", "res_search",
    "__res_query", "__res_search", "inet_addr", "if_nametoindex"}
NETWORK_LIBRARIES = re.compile(
    r"^lib(curl|ssl|crypto|gnutls|nghttp|resolv|nsl|zmq|ssh|grpc|microhttpd|websockets)")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def dynamic_symbols(path, which):
    """Names in the dynamic symbol table; which is --defined-only or --undefined-only."""
    names = set()
    for line in run("nm", "-D", "--format=posix", which, path).splitlines():
        name, kind = line.split()[:2]
        # Absolute symbols name version nodes; they are not code or data.
        if kind != "A":
            names.add(name.split("@")[0])
    return names


def needed_libraries(path):
    return re.findall(r"\(NEEDED\).*\[(.*?)\]", run("readelf", "-d", "-W", path))


def plugin_faults(path):
    exports = dynamic_symbols(path, "--defined-only")
    faults = [f"exports {name}" for name in sorted(exports - {ENTRY})]
    if ENTRY not in exports:
        faults.append(f"does not export {ENTRY}")
    return faults


def library_faults(path):
    exports = dynamic_symbols(path, "--defined-only")
    faults = [f"exports {name}" for name in sorted(exports) if not name.startswith("tn_")]
    if not exports:
        faults.append("exports nothing")
    return faults


def network_faults(path):
    imports = dynamic_symbols(path, "--undefined-only")
    faults = [f"imports {name}" for name in sorted(imports & NETWORK_SYMBOLS)]
    faults += [f"needs {name}" for name in needed_libraries(path) if NETWORK_LIBRARIES.match(name)]
    return faults


def check(plugins, libraries, programs):
    """Returns (binaries checked, complaints)."""
    violations = []
    for paths, faults_of in ((plugins, plugin_faults), (libraries, library_faults),
                             (plugins + libraries + programs, network_faults)):
        for path in paths:
            try:
                violations += [f"{path}: {fault}" for fault in faults_of(path)]
            except subprocess.CalledProcessError as error:
                violations.append(f"{path}: {error.stderr.strip()}")
    return len(plugins) + len(libraries) + len(programs), violations


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    for kind in ("plugin", "library", "program"):
        parser.add_argument(f"--{kind}", action="append", default=[], metavar="FILE")
    options = parser.parse_args()
    count, violations = check(options.plugin, options.library, options.program)
    for violation in violations:
        print(violation)
    print(f"symbols: {count} binaries, {len(violations)} violations")
    return 1 if violations or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
