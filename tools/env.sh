#!/usr/bin/env bash
# A virtual environment that can build and test memscope, from a bare machine.
#
#   tools/env.sh PYTHON VENV GROUP...
#
# Installs what the system lacks (with apt-get, where that is possible), makes
# VENV with PYTHON, installs the named dependency groups of pyproject.toml and
# the project itself, in place, and recompiles its C core when a source or a
# MEMSCOPE_* switch of setup.py changed.  Quick when all that is there.
#
# MEMSCOPE_APT=0 never calls apt-get: what is missing is an error, or a note if
# only some tests want it.
set -euo pipefail
cd "$(dirname "$0")/.."

python=$1 venv=$2
shift 2
groups=("$@")

say() { printf '%s\n' "memscope: $*" >&2; }
die() { say "$@"; exit 1; }

is_supported() {
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

apt=()
if [ "${MEMSCOPE_APT:-1}" != 0 ] && command -v apt-get >/dev/null; then
    if [ "$(id -u)" = 0 ]; then
        apt=(env DEBIAN_FRONTEND=noninteractive apt-get)
    elif command -v sudo >/dev/null; then
        apt=(sudo env DEBIAN_FRONTEND=noninteractive apt-get)
    fi
fi

apt_updated=no
apt_install() {
    if [ "$apt_updated" = no ]; then
        "${apt[@]}" -q -o Acquire::Retries=3 update >&2 || true
        apt_updated=yes
    fi
    say "installing with apt-get: $*"
    "${apt[@]}" -q -y -o Acquire::Retries=3 install --no-install-recommends "$@" >&2
}

# --- the interpreter: the one asked for, else (for plain python3) any that will do

if ! is_supported "$python"; then
    [ "$python" = python3 ] || die "$python is not a CPython 3.11 or newer"
    for minor in 15 14 13 12 11; do
        is_supported "python3.$minor" && python=python3.$minor && break
    done
    if ! is_supported "$python" && [ ${#apt[@]} -gt 0 ]; then
        for minor in 13 12 11; do
            apt_install "python3.$minor" && python=python3.$minor && break
        done
    fi
    is_supported "$python" || die "needs CPython 3.11 or newer; name one with PYTHON=/path/to/python"
fi

identity=$("$python" -c 'import sys, sysconfig
print(sys.version, sys.base_prefix, sys.executable, sysconfig.get_config_var("EXT_SUFFIX"))')
core=memscope/_memscope${identity##* }
if [ -e "$venv/.interpreter" ] && [ "$(cat "$venv/.interpreter")" != "$identity" ]; then
    say "$venv was made with another interpreter: making it anew"
    rm -rf "$venv" memscope/_memscope.*.so build/temp.* build/lib.*
fi
ready=yes
for group in "${groups[@]}"; do
    [ "$venv/.group-$group" -nt pyproject.toml ] || ready=no
done

build() {
    local switches="${MEMSCOPE_DEBUG:-} ${MEMSCOPE_SANITIZE:-} ${MEMSCOPE_WERROR:-}" force=()
    [ "$(cat "$venv/.switches" 2>/dev/null)" = "$switches" ] || force=(--force)
    [ -e "$core" ] || force=(--force)
    if [ ${#force[@]} -gt 0 ] || [ -n "$(find setup.py src -newer "$venv/.built" 2>&1)" ]; then
        say "compiling the C core"
        rm -f "$venv/.built"
        "$venv/bin/python" setup.py -q build_ext --inplace "${force[@]}"
        printf '%s\n' "$switches" >"$venv/.switches"
        touch "$venv/.built"
    fi
}
if [ $ready = yes ]; then
    build
    exit 0
fi

# --- what the system must have (needed), and what some tests want (wanted)

fact() { "$python" -c "import importlib.util, pathlib, sys, sysconfig; print($1)"; }
version=$(fact '"%d.%d" % sys.version_info[:2]')
of_system=$(fact 'sys.base_prefix == "/usr"')
needed=() wanted=() missing=()

command -v cc >/dev/null || { needed+=(gcc libc6-dev); missing+=("a C compiler"); }
if [ "$(fact 'pathlib.Path(sysconfig.get_path("include"), "Python.h").exists()')" = False ]; then
    missing+=("the C headers of $python")
    [ "$of_system" = False ] || needed+=("python$version-dev")
fi
if [ "$(fact 'all(map(importlib.util.find_spec, ("venv", "ensurepip")))')" = False ]; then
    missing+=("the venv and ensurepip modules of $python")
    [ "$of_system" = False ] || needed+=("python$version-venv")
fi
if [[ " ${groups[*]} " =~ \ (test|demo)\  ]]; then
    command -v dot >/dev/null || wanted+=(graphviz)
fi
if [[ " ${groups[*]} " == *" test "* ]]; then
    compgen -G '/usr/lib/*/libjemalloc.so.2' >/dev/null || wanted+=(libjemalloc2)
    command -v chromedriver >/dev/null || wanted+=(chromium chromium-driver)
    if [ "$of_system" = True ] && [ "$(fact 'importlib.util.find_spec("test.test_tracemalloc")')" = None ]; then
        wanted+=("libpython$version-testsuite")
    fi
fi

if [ ${#needed[@]} -gt 0 ] && [ ${#apt[@]} -gt 0 ]; then
    apt_install "${needed[@]}" || die "apt-get could not install ${needed[*]}"
elif [ ${#missing[@]} -gt 0 ]; then
    printf -v list '%s, ' "${missing[@]}"
    die "missing: ${list%, }. On Debian or Ubuntu, as root: apt-get install ${needed[*]}"
fi
for package in "${wanted[@]}"; do
    if [ ${#apt[@]} -eq 0 ] || ! apt_install "$package"; then
        say "going on without $package: what needs it is skipped, and says so"
    fi
done

# --- the environment

if [ ! -x "$venv/bin/python" ] || [ ! -e "$venv/.interpreter" ]; then
    rm -rf "$venv"
    "$python" -m venv "$venv"
fi
pip=(env PYTHONWARNINGS=ignore "$venv/bin/python" -m pip --disable-pip-version-check -qq)
if ! "$venv/bin/python" -c 'import pip; raise SystemExit(int(pip.__version__.split(".")[0]) < 26)'; then
    "${pip[@]}" install --upgrade "pip>=26"    # --group came with 25.1
fi
"${pip[@]}" install "${groups[@]/#/--group=}"
printf '%s\n' "$identity" >"$venv/.interpreter"
build
# Anew when its metadata changed: commands and plugins are found there.
metadata=$(cksum <pyproject.toml)
if [ "$(cat "$venv/.metadata" 2>/dev/null)" != "$metadata" ]; then
    "${pip[@]}" install --no-deps --no-build-isolation -e .
    printf '%s\n' "$metadata" >"$venv/.metadata"
fi
for group in "${groups[@]}"; do
    touch "$venv/.group-$group"
done
