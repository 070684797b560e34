#!/usr/bin/env bash
# The tests of real projects, plain and with "pytest --memscope": the same results, no false
# alarm; and what it costs.
#
#   tools/projects.sh PYTHON [NAME...]      all of them, or those named: attrs httpcore ...
#
# Each project comes from its sdist, which has the tests, at a fixed version; it is fetched
# with pip into $MEMSCOPE_CACHE/projects (~/.cache/memscope/projects) and unpacked, with an
# environment of its own, below build/projects.  memscope is installed into it as a wheel of
# this tree.  tools/projects.py runs and compares; build/projects/*/NAME/ keeps the logs, the
# JUnit files and memscope's JSON.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit 2; }
python=$1
shift
chosen=" $* "
sources=${MEMSCOPE_CACHE:-$HOME/.cache/memscope}/projects
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
out=$PWD/build/projects/$version
mkdir -p "$sources" "$out"

say() { printf '%s\n' "memscope: $*" >&2; }
pip() { env PYTHONWARNINGS=ignore "$1/bin/python" -m pip --disable-pip-version-check -qq "${@:2}"; }

# --- memscope, as a user gets it: a wheel, built from a copy of the tree

tools/copy.sh "$out/tree"
[ -x "$out/venv/bin/python" ] || "$python" -m venv "$out/venv"
rm -rf "$out/dist"
pip "$out/venv" wheel --no-deps -w "$out/dist" "$out/tree"

# --- the projects

names=()

# project NAME VERSION REQUIREMENTS [ARGUMENT OF PYTEST...]
project() {
    local name=$1 version=$2 requirements=$3 folder archive
    shift 3
    [ "$chosen" = "  " ] || [[ "$chosen" == *" $name "* ]] || return 0
    folder=$out/$name
    archive=$(find "$sources" -name "${name//-/[-_]}-$version.tar.gz")
    if [ -z "$archive" ]; then
        say "fetching $name $version"
        pip "$out/venv" download --no-deps --no-binary "$name" -d "$sources" "$name==$version"
        archive=$(find "$sources" -name "${name//-/[-_]}-$version.tar.gz")
    fi
    rm -rf "$folder/source"
    mkdir -p "$folder/source"
    tar -xzf "$archive" -C "$folder/source" --strip-components=1
    # Without a configuration of its own, pytest would find the one of this tree above it.
    grep -qs '^\[\(tool[:.]\)\?pytest' "$folder"/source/{pyproject.toml,setup.cfg,tox.ini,pytest.ini} ||
        printf '[pytest]\n' >"$folder/source/pytest.ini"
    if [ "$(cat "$folder/.installed" 2>/dev/null)" != "$version $requirements" ]; then
        say "installing $name $version and what its tests need"
        rm -rf "$folder/venv" "$folder/.installed"
        "$python" -m venv "$folder/venv"
        # shellcheck disable=SC2086 -- requirements are words
        pip "$folder/venv" install "$archive" pytest $requirements
        printf '%s\n' "$version $requirements" >"$folder/.installed"
    fi
    pip "$folder/venv" install --no-deps --force-reinstall "$out"/dist/*.whl
    printf '%s\n' "$@" >"$folder/arguments"
    names+=("$name")
}

# Tests with hypothesis, and classes made by the thousand.
project attrs 25.3.0 "hypothesis cloudpickle pympler" --hypothesis-seed=0
# Written with unittest; subtests, iterators that run on.
project more-itertools 10.7.0 ""
# Servers in threads and processes, sockets.  The tests of the reloader wait for file events
# for minutes where there are none.
project werkzeug 3.1.3 "pytest-timeout ephemeral-port-reserve cryptography watchdog" \
    -k "not reloader"
# Async tests, under asyncio and trio; a server in a thread.
project httpcore 1.0.9 "anyio trio pytest-trio pytest-httpbin h2 socksio"
# Weak references and signals; async tests under pytest-asyncio.
project blinker 1.9.0 "pytest-asyncio" -o asyncio_default_fixture_loop_scope=function

# Only when it is asked for: nearly every test leaks, really (EXPECTED in projects.py has the
# evidence), and so nearly every test is judged by rounds, which takes an hour.
if [[ "$chosen" == *" click "* ]]; then
    project click 8.5.1 ""
fi

exec "$python" tools/projects.py "$out" "${names[@]}"
