#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what Tenon is built and tested with: the Debian packages in packages.txt, and a Python
# virtual environment (.venv) with the pinned test-only tools in requirements.txt and, beside them,
# the ONNX node tests that they generate. Run it as often as you like: it says what it installs, and
# says nothing when nothing is missing.
set -eu

usage() {
    cat <<'USAGE'
usage: scripts/setup.sh [--no-venv] [--check]

  --no-venv   packages only; skip what some tests use: the Python environment, and the ONNX node
              tests generated with it
  --check     install nothing; list what is missing and exit 3 if anything is

Set TENON_SETUP=skip to make this script do nothing (you provide the tools yourself).
USAGE
}

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 3; }

want_venv=1
check_only=0
for arg in "$@"; do
    case $arg in
        --no-venv) want_venv=0 ;;
        --check) check_only=1 ;;
        -h|--help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
done
[ "${TENON_SETUP:-}" != skip ] || exit 0

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
venv=$(dirname -- "$here")/.venv
# The system interpreter, not whatever comes first in PATH: its venv module is one of the packages.
python=/usr/bin/python3

ID=unknown VERSION_ID='' PRETTY_NAME=''
# shellcheck disable=SC1091
[ ! -r /etc/os-release ] || . /etc/os-release
if [ "$ID" != debian ] || [ "$VERSION_ID" != 12 ]; then
    say "this script knows Debian 12 only; this is ${PRETTY_NAME:-$ID}"
    say "install the equivalents of scripts/packages.txt and scripts/requirements.txt yourself,"
    die "then run again with TENON_SETUP=skip"
fi

packages=$(sed -e 's/#.*//' "$here/packages.txt" | tr -s ' \n' ' ')
# dpkg-query fails when a name is unknown to it; its answer about the others is still complete.
# shellcheck disable=SC2086
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ') || true
missing=
for package in $packages; do
    case " $installed" in
        *" $package "*) ;;
        *) missing="$missing $package" ;;
    esac
done

venv_stamp=
if [ "$want_venv" = 1 ]; then
    venv_stamp=$(sha256sum <"$here/requirements.txt" | cut -d' ' -f1)
    if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/.tenon-stamp" 2>/dev/null)" = "$venv_stamp" ]
    then
        want_venv=0
    fi
fi

# In .venv, so that they go when the tools go that they were made with.
node_tests=$venv/onnx-node-tests
want_node_tests=0
if [ -n "$venv_stamp" ]; then
    node_tests_stamp=$(cat "$here/requirements.txt" "$here/onnx_node_tests.py" | sha256sum |
        cut -d' ' -f1)
    [ "$(cat "$node_tests/stamp" 2>/dev/null)" = "$node_tests_stamp" ] || want_node_tests=1
fi

if [ "$check_only" = 1 ]; then
    [ -z "$missing" ] || say "missing packages:$missing"
    [ "$want_venv" = 0 ] || say "missing or outdated: $venv"
    [ "$want_node_tests" = 0 ] || say "missing or outdated: $node_tests"
    [ -z "$missing" ] && [ "$want_venv$want_node_tests" = 00 ] || exit 3
    exit 0
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
        say "these packages are missing and neither root nor sudo is available; as root, run:"
        die "apt-get install --no-install-recommends$missing"
    fi
    say "installing Debian packages:$missing"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    apt() {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 "$@" \
            >"$log" 2>&1 || { cat "$log" >&2; die "apt-get $1 failed (its output is above)"; }
    }
    apt update
    # shellcheck disable=SC2086
    apt install --no-install-recommends $missing
fi

if [ "$want_venv" = 1 ]; then
    say "installing Python test tools into $venv:" \
        "$(sed -e 's/#.*//' -e '/^ *$/d' "$here/requirements.txt" | tr '\n' ' ')"
    "$python" -m venv --clear "$venv" || die "could not create $venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        -r "$here/requirements.txt" || die "pip could not install scripts/requirements.txt"
    printf '%s\n' "$venv_stamp" >"$venv/.tenon-stamp"
fi

if [ "$want_node_tests" = 1 ]; then
    say "generating the newest ONNX node tests into $node_tests"
    rm -rf "$node_tests"
    "$venv/bin/python" -B "$here/onnx_node_tests.py" "$node_tests" >/dev/null ||
        die "scripts/onnx_node_tests.py failed (its output is above)"
    printf '%s\n' "$node_tests_stamp" >"$node_tests/stamp" # last: it says that all is there
fi

if [ -n "$missing" ] || [ "$want_venv$want_node_tests" != 00 ]; then
    say "done"
fi
