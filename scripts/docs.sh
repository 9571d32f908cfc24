#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# API reference of the public headers, in build/docs/html.
set -eu
cd "$(dirname -- "$0")/.."
mkdir -p build/docs
doxygen -q - <<'DOXYFILE'
PROJECT_NAME = Tenon
OUTPUT_DIRECTORY = build/docs
INPUT = README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md abi core/include partitioner/include docs
USE_MDFILE_AS_MAINPAGE = README.md
RECURSIVE = YES
FILE_PATTERNS = *.h *.md
EXCLUDE_PATTERNS = */src/*
STRIP_FROM_PATH = .
STRIP_FROM_INC_PATH = abi/include core/include
OPTIMIZE_OUTPUT_FOR_C = YES
EXTRACT_ALL = YES
GENERATE_LATEX = NO
HAVE_DOT = NO
QUIET = YES
WARN_IF_UNDOCUMENTED = NO
DOXYFILE
echo "docs: build/docs/html/index.html"
