#!/usr/bin/env bash
# The plain C parts against hostile input: every tests/fuzz/*.c under libFuzzer.
#
#   tools/fuzz.sh                FUZZ_SECONDS=60 for each of them
#
# Built by clang with ASan and UBSan, and without an interpreter, so leaks count too.
# What is found stays in build/fuzz/TARGET/; the corpus there is used again.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-60}

fuzzer_works() {
    command -v clang >/dev/null && echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n);
        int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d == 0 && n; }' \
        | clang -fsanitize=fuzzer,address,undefined -x c - -o build/fuzz/probe 2>/dev/null
}
mkdir -p build/fuzz
if ! fuzzer_works; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get -q update >/dev/null
        version=$(apt-cache depends clang | sed -n 's/^ *Depends: clang-\([0-9]*\)$/\1/p')
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
            clang "libclang-rt-$version-dev" >/dev/null
    fi
    fuzzer_works || { echo "fuzz: needs clang with libFuzzer (libclang-rt-*-dev)" >&2; exit 1; }
fi

# What needs no Python, by the rule that tests/test_architecture.py keeps.
mapfile -t sources < <(find src/_memscope/{base,file,heap,trace} -name '*.c' -exec grep -LE \
    'Python\.h|pycompat\.h|(enumerate|frames|hooks|reftracer|sizes|stacks|tracer|visit|walk)\.h' {} +)

for target in tests/fuzz/*.c; do
    name=$(basename "$target" .c)
    work=build/fuzz/$name
    mkdir -p "$work/corpus"
    clang -std=c11 -D_DEFAULT_SOURCE -g -O1 -Wall -Wextra -Werror -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined -Isrc/_memscope "$target" "${sources[@]}" -o "$work/fuzz"
    echo "### $name, $seconds s"
    seeds=("$work/corpus")
    [ ! -d "tests/fuzz/$name" ] || seeds+=("tests/fuzz/$name")
    if ! "$work/fuzz" -fork="$(nproc)" -max_total_time="$seconds" -timeout=25 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -artifact_prefix="$work/" "${seeds[@]}" >"$work/log" 2>&1; then
        tail -n 100 "$work/log"
        exit 1
    fi
    tail -n 3 "$work/log"
done
