#!/usr/bin/env bash
# Makes the Python environment of the lab (moto) when it is missing or stale, and prints the path of its Python.
# Exit 3, with one line that says why, where it cannot be made: the tests that need it are then skipped.
set -u

lab=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${EVENKEEL_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/evenkeel}
venv=$cache/venv
wanted=$lab/requirements.txt
stamp=$venv/evenkeel-requirements.txt

cannot() {
    echo "$1" >&2
    exit 3
}

if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$stamp"; then
    echo "$venv/bin/python"
    exit 0
fi

command -v python3 >/dev/null || cannot "python3 is missing (Debian: apt-get install python3 python3-venv)"
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    cannot "python3 is $(python3 -c 'import platform; print(platform.python_version())'), moto's pinned packages need 3.11"

mkdir -p "$cache" || cannot "the folder $cache cannot be made"
# Two test runs at once: the second waits and then finds it made.
exec 9>"$cache/venv.lock"
if command -v flock >/dev/null; then
    flock 9
    if [ -x "$venv/bin/python" ] && cmp -s "$wanted" "$stamp"; then
        echo "$venv/bin/python"
        exit 0
    fi
fi

log=$cache/venv.log
# A venv whose Python is gone (an upgrade of the system) cannot be repaired.
"$venv/bin/python" -c '' 2>/dev/null || rm -rf "$venv"
if [ ! -x "$venv/bin/pip" ]; then
    echo "making the Python environment of the lab in $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv" >"$log" 2>&1 ||
        cannot "python3 -m venv does not work (Debian: apt-get install python3-venv); its words are in $log"
fi
"$venv/bin/python" -m pip install --disable-pip-version-check --quiet --requirement "$wanted" >"$log" 2>&1 ||
    cannot "pip could not install tests/lab/requirements.txt (no registry?); its words are in $log"
cp "$wanted" "$stamp"
echo "$venv/bin/python"
