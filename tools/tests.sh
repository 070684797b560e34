#!/usr/bin/env bash
# pytest, in a process of its own for each part of the tests.
#
#   tools/tests.sh [--again] PYTHON [PYTEST-ARGUMENT...]
#
# A test that walks the heap walks all that its process has imported, and so many of them do that
# in one process for all the suite takes twice as long.  If files or directories are among
# the arguments, those are run, in one process.
#
# --again: what failed is run once more, alone.  For machines where other work runs beside the
# scenarios that race threads, signals and forks against each other.  What fails twice fails;
# what passes the second time is said, loudly.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
again=0
if [ "$1" = --again ]; then
    again=1
    shift
fi
python=$1
shift
chosen=0
for argument in "$@"; do
    [ ! -e "${argument%%::*}" ] || chosen=1
done

# What pytest returned last, and for all parts: 5 means that no test was selected.
code=5
run() {
    local now=0
    "$python" -m pytest "$@" || now=$?
    case $now in
        0) [ $code -ne 5 ] || code=0 ;;
        1) code=1 ;;
        5) ;;
        *) exit $now ;;
    esac
}

if [ $chosen = 1 ]; then
    run "$@"
else
    small=()
    for directory in tests/*/; do
        case $directory in
            tests/pytest_plugin/ | tests/web/) ;;
            *) small+=("$directory") ;;
        esac
    done
    run "${small[@]}" "$@"
    run tests/test_*.py "$@"
    run tests/pytest_plugin "$@"
    run tests/web "$@"
fi
if [ $code = 1 ] && [ $again = 1 ]; then
    printf '\n### FAILED, SO ONCE MORE, ONE BY ONE:\n'
    "$python" -m pytest "$@" -n 0 --last-failed --last-failed-no-failures none || exit
    printf '### UNSTEADY: the above failed beside other tests and passed alone\n'
    code=0
fi
exit $code
