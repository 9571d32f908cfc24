#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs the peers into an environment of their own (build/peers-venv), builds Tenon for release,
# and compares; options go to peers.py. With `overhead` or `bound` as the first word: to that script.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$here/../..
venv=$root/build/peers-venv
stamp=$(sha256sum <"$here/requirements.txt" | cut -d' ' -f1)
if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "peers: installing into build/peers-venv:" \
        "$(sed -e 's/#.*//' -e '/^ *$/d' "$here/requirements.txt" | tr '\n' ' ')" >&2
    /usr/bin/python3 -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: \
        -r "$here/requirements.txt"
    printf '%s\n' "$stamp" >"$venv/stamp" # last: it says that all is there
fi
"$root/scripts/build.sh" release
script=peers.py
case ${1:-} in
    overhead | bound)
        script=$1.py
        shift
        ;;
esac
exec "$root/.venv/bin/python" "$here/$script" "$@"
