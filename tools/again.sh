#!/usr/bin/env bash
# pytest, and what failed once more, alone: for machines where other work runs beside the scenarios
# that race threads, signals and forks against each other.
#
#   tools/again.sh PYTHON PYTEST-ARGUMENT...
#
# What fails twice fails.  What passes the second time is said, loudly.
set -uo pipefail
python=$1
shift
"$python" -m pytest "$@" && exit
code=$?
[ $code -eq 1 ] || exit $code
printf '\n### FAILED, SO ONCE MORE, ONE BY ONE:\n'
"$python" -m pytest "$@" -n 0 --last-failed --last-failed-no-failures none || exit
printf '### UNSTEADY: the above failed beside other tests and passed alone\n'
