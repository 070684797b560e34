#!/usr/bin/env bash
# The tests under AddressSanitizer and UndefinedBehaviorSanitizer, in a copy of the tree.
#
#   tools/sanitize.sh PYTHON [PYTEST ARGUMENT...]
#
# Twice: with pymalloc, as programs run, and with PYTHONMALLOC=malloc, so that the
# sanitizer sees every block of the interpreter.  Leaks are not looked for here: an
# interpreter leaves thousands of blocks at exit (the plain C parts: tools/fuzz.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
shift
tree=build/sanitize
tools/copy.sh "$tree"
cd "$tree"
MEMSCOPE_SANITIZE=1 tools/env.sh "$python" .venv test
.venv/bin/python tests/ext/build.py

# Not run, for what the sanitizer itself does:
#   memory is held back when freed, so addresses are not used again and stay no bounded set;
left_out="not eval_loops_stay_bounded"
#   its malloc stays locked in the child of a fork that caught another thread inside it;
left_out+=" and not fork_from_c and not fork_while_threads_allocate"
#   it reserves terabytes, which no RLIMIT_AS allows, and gives way to no other malloc;
left_out+=" and not program_out_of_memory and not jemalloc_underneath"
#   what is freed stays resident in its quarantine; these run after the others, without one;
unchanged="test_memory_is_as_before or heap_observed_unchanged or memory_fragmented"
unchanged+=" or memory_of_imports"
left_out+=" and not (${unchanged})"
#   its malloc puts space between small blocks, and the shadow pays by the page.
left_out_malloc="$left_out and not test_own_memory_is_counted_and_given_back"

# Their run times come first: the C++ one, or the sanitizer finds no __cxa_throw.
LD_PRELOAD="$(realpath "$(cc -print-file-name=libasan.so)") libstdc++.so.6"
export LD_PRELOAD
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1:abort_on_error=1:handle_segv=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export MEMSCOPE_TEST_TIMEOUT=600 MEMSCOPE_EXAMPLES=15

# Hundreds of processes, a minute of start-up each, or hundreds of walks; what they ask of the
# core, other tests do.
heavy=(--ignore=tests/test_{corpus,recipes,cli_run,leak_watch,testing}.py)
heavy+=(--ignore=tests/pytest_plugin)
heavy+=(--ignore=tests/web)

printf '\n### PYTHONMALLOC=pymalloc\n'
PYTHONMALLOC=pymalloc tools/tests.sh --again .venv/bin/python -q -n "$(nproc)" -k "$left_out" \
    "${heavy[@]}" "$@"
[ $# -gt 0 ] || ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=0 PYTHONMALLOC=pymalloc \
    tools/tests.sh --again .venv/bin/python -q -n "$(nproc)" -k "$unchanged" tests/test_heap.py \
    tests/test_isolated.py
# The C core's own tests: what the whole suite adds has just run.
paths=("$@")
[ $# -gt 0 ] || paths=(tests/trace tests/file tests/heap tests/bind)
printf '\n### PYTHONMALLOC=malloc\n'
PYTHONMALLOC=malloc tools/tests.sh --again .venv/bin/python -q -n "$(nproc)" -k "$left_out_malloc" \
    "${paths[@]}"
