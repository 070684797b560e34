#!/usr/bin/env bash
# Debian sid in a folder: CPython 3.13 to 3.15, release and debug, with their tests, and the
# programs that memscope's own tests want.
#
#   tools/sid.sh prepare             make the folder, or complete it
#   tools/sid.sh run TREE COMMAND... run COMMAND in it, in TREE
#
# The folder is ${MEMSCOPE_CACHE:-~/.cache/memscope}/sid; a complete one is used as it is.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=tools/chroot.sh
. "$here/chroot.sh"
root=${MEMSCOPE_CACHE:-$HOME/.cache/memscope}/sid
versions=(3.13 3.14 3.15)

prepare() {
    local version program lacking=() programs=()
    chroot_possible || return 1
    chroot_make "$root" sid gcc,libc6-dev,ca-certificates || return 1
    for version in "${versions[@]}"; do
        if [ ! -x "$root/usr/bin/python$version" ] || [ ! -x "$root/usr/bin/python$version-dbg" ] \
            || [ ! -e "$root/usr/lib/python$version/test/test_tracemalloc.py" ]; then
            lacking+=("$version")
        fi
    done
    [ -x "$root/usr/bin/dot" ] || programs+=(graphviz)
    compgen -G "$root/usr/lib/*/libjemalloc.so.2" >/dev/null || programs+=(libjemalloc2)
    [ $((${#lacking[@]} + ${#programs[@]})) -gt 0 ] || return 0
    # A mirror may lag behind, and then its list says that it has expired.
    chroot_run "$root" /srv apt-get -q -o Acquire::Check-Valid-Until=false update >&2 || true
    install() {
        chroot_run "$root" /srv env DEBIAN_FRONTEND=noninteractive apt-get -q -y install \
            --no-install-recommends "$@" >&2
    }
    for version in "${lacking[@]}"; do
        install "python$version" "python$version"-{dev,venv,dbg} "libpython$version-testsuite" \
            || echo "no complete CPython $version in Debian sid today" >&2
    done
    for program in "${programs[@]}"; do
        install "$program" || echo "no $program in Debian sid today: tests that want it skip" >&2
    done
}

case ${1:-} in
    prepare) prepare ;;
    run) shift; chroot_run "$root" "$@" ;;
    *) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
