#!/usr/bin/env bash
# The tests on every CPython 3.11-3.15 that can be had on this machine.
#
#   tools/matrix.sh             all of them, one after the other, and a table
#   tools/matrix.sh list        "name <tab> sid or host <tab> interpreter" of each;
#                               on stderr, what is not there and why
#   tools/matrix.sh pick KIND   the line of the one to choose: "release" (the system's own,
#                               built with PGO) or "debug" (the newest)
#   tools/matrix.sh run NAME [ARGUMENT...]    pytest on one of them, in a copy of the tree
#   tools/matrix.sh regrtest NAME [ARGUMENT...]   CPython's own tests on it (regrtest.py)
#
# Those of the machine are pyenv's and Debian's; Debian sid gives the newest (tools/sid.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
root=${MEMSCOPE_CACHE:-$HOME/.cache/memscope}/sid
jobs=$(nproc)

describe='import os, sys, sysconfig
known = sys.implementation.name == "cpython" and (3, 11) <= sys.version_info[:2] <= (3, 15)
free = "-freethreaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
debug = "-dbg" if hasattr(sys, "gettotalrefcount") else ""
print(int(known), "%d.%d.%d" % sys.version_info[:3], (free + debug) or "-", os.path.realpath(sys.executable))'

missing() { printf 'missing\t%s\t%s\n' "$1" "$2" >&2; }

# describe_all PLACE ORIGIN INTERPRETER...: a line for each that is there and not yet listed.
declare -A seen=() have=()
describe_all() {
    local place=$1 origin=$2 candidate enter=() known version kind real
    shift 2
    [ "$place" = host ] || enter=(chroot "$root")
    for candidate in "$@"; do
        read -r known version kind real \
            < <("${enter[@]}" "$candidate" -c "$describe" 2>/dev/null) || continue
        if [ "$known" = 0 ] || [ -n "${seen[$place$real]:-}" ]; then
            continue
        fi
        seen[$place$real]=1
        [ "$kind" != - ] || kind=
        have[${version%.*}$kind]=1
        printf '%s-%s%s\t%s\t%s\n' "$version" "$origin" "$kind" "$place" "$candidate"
    done
}

list() {
    local system minor
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && [ -x /usr/bin/python3 ]; then
        system=$(/usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if [ ! -x "/usr/bin/python$system-dbg" ] || [ ! -e "/usr/include/python$system/Python.h" ]; then
            { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install \
                --no-install-recommends "python$system"-{dev,venv,dbg} "libpython$system-testsuite"; } \
                >/dev/null 2>&1 || missing "$system-dbg" "no package of it for this system"
        fi
    fi
    describe_all host pyenv "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3
    describe_all host local /usr/local/bin/python3.1[1-5] /usr/local/bin/python3.1[3-5]t
    describe_all host system /usr/bin/python3.1[1-5] /usr/bin/python3.1[1-5]-dbg
    if tools/sid.sh prepare >build/sid.log 2>&1; then
        describe_all sid sid /usr/bin/python3.{11..15} /usr/bin/python3.{11..15}-dbg
    else
        missing "Debian sid" "$(tail -n 1 build/sid.log)"
    fi
    for minor in 11 12 13 14 15; do
        [ -n "${have[3.$minor]:-}" ] || missing "CPython 3.$minor" "no release build on this machine"
        [ -n "${have[3.$minor-dbg]:-}" ] || missing "CPython 3.$minor debug" "no debug build on this machine"
    done
    [[ " ${!have[*]} " == *freethreaded* ]] || missing "free-threaded builds" "none on this machine"
}

pick() {
    if [ "$1" = debug ]; then
        grep -P '^[^\t]*-dbg\t' build/matrix.list | tail -n 1
    else
        grep -P '^[^\t]*-system\t' build/matrix.list || grep -vP '^[^\t]*-dbg\t' build/matrix.list
    fi | head -n 1
}

# enter NAME: the command prefix that runs things in NAME's copy of the tree.
enter() {
    IFS=$'\t' read -r _ place python < <(grep -P "^\Q$1\E\t" build/matrix.list)
    tree=build/matrix/$1
    tools/copy.sh "$tree"
    if [ "$place" = sid ]; then
        in_tree=(env MEMSCOPE_APT=0 "$PWD/tools/sid.sh" run "$tree")
    else
        in_tree=(env -C "$tree")
    fi
    "${in_tree[@]}" tools/env.sh "$python" .venv test
}

run() {
    enter "$1"
    "${in_tree[@]}" .venv/bin/python tests/ext/build.py
    "${in_tree[@]}" tools/tests.sh --again .venv/bin/python -q -n "$jobs" "${@:2}"
}

regrtest() {
    enter "$1"
    "${in_tree[@]}" .venv/bin/python tools/regrtest.py --jobs "$jobs" "${@:2}"
}

mkdir -p build
case ${1:-all} in
    list) list | tee build/matrix.list ;;
    pick) pick "$2" ;;
    run) run "${@:2}" ;;
    regrtest) regrtest "${@:2}" ;;
    all)
        stages_logs=build/matrix-logs
        # shellcheck source=tools/stages.sh
        . tools/stages.sh
        list >build/matrix.list 2>build/matrix.missing || exit 1
        while IFS=$'\t' read -r name _; do
            stage "$name" tools/matrix.sh run "$name"
        done <build/matrix.list
        while IFS=$'\t' read -r _ what why; do
            untested "$what" "$why"
        done < <(grep -P '^missing\t' build/matrix.missing)
        stages_end
        ;;
    *) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
