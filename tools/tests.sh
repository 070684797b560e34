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
# Thousands of processes import the same modules, and pytest rewrites those of plugins: once.
unset PYTHONDONTWRITEBYTECODE
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

# A part is what is left of tests/ when the rest is ignored, and not a path of its own: a path that
# is named is collected even if an --ignore among the arguments says otherwise.
arguments=("$@")
run_part() {
    local path ignored=()
    for path in tests/*/ tests/test_*.py; do
        [[ " $* " = *" $path "* ]] || ignored+=(--ignore="${path%/}")
    done
    run tests "${ignored[@]}" "${arguments[@]}"
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
    run_part "${small[@]}"
    run_part tests/test_*.py
    run_part tests/pytest_plugin/
    run_part tests/web/
fi
if [ $code = 1 ] && [ $again = 1 ]; then
    printf '\n### FAILED, SO ONCE MORE, ONE BY ONE:\n'
    "$python" -m pytest "$@" -n 0 --last-failed --last-failed-no-failures none || exit
    printf '### UNSTEADY: the above failed beside other tests and passed alone\n'
    code=0
fi
exit $code
