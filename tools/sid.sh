#!/usr/bin/env bash
# Debian sid in a folder: CPython 3.13 to 3.15, release and debug, with their tests.
#
#   tools/sid.sh prepare             make the folder, or complete it (needs root and the network)
#   tools/sid.sh run TREE COMMAND... run COMMAND in it, as if TREE, its directory, were there too
#
# The folder is ${MEMSCOPE_CACHE:-~/.cache/memscope}/sid; a complete one is used as it is.
# What is mounted into it is seen by COMMAND alone and is gone with it.
set -euo pipefail
root=${MEMSCOPE_CACHE:-$HOME/.cache/memscope}/sid
mirror=http://deb.debian.org/debian
versions=(3.13 3.14 3.15)
bundle=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}

say() { printf '%s\n' "sid: $*" >&2; }

run() {
    local tree settings=()
    tree=$(realpath "$1")
    shift
    mkdir -p "$root$tree" "$root/root/.cache/pip" "$HOME/.cache/pip"
    # pip's settings of this machine, except for folders that the other one has not.
    while IFS='=' read -r name value; do
        value=${value#\'}
        settings+=("PIP_$(tr 'a-z-' 'A-Z_' <<<"$name")=${value%\'}")
    done < <(python3 -m pip config list 2>/dev/null \
        | sed -nE 's/^[a-z:]+\.((index-url|proxy|trusted-host|retries)=)/\1/p')
    [ ! -e "$bundle" ] || settings+=(PIP_CERT=/etc/ssl/certs/ca-certificates.crt
        SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt)
    # shellcheck disable=SC2016
    unshare --mount --propagation private bash -euc '
        root=$1 tree=$2 bundle=$3
        shift 3
        mount --bind /proc "$root/proc"
        mount --rbind /dev "$root/dev"
        mount --bind "$tree" "$root$tree"
        mount --bind "$HOME/.cache/pip" "$root/root/.cache/pip"
        for pair in /etc/resolv.conf:/etc/resolv.conf "$bundle:/etc/ssl/certs/ca-certificates.crt"; do
            if [ -e "${pair%%:*}" ]; then
                touch "$root${pair#*:}"
                mount --bind "${pair%%:*}" "$root${pair#*:}"
            fi
        done
        exec chroot "$root" "$@"
    ' run "$root" "$tree" "$bundle" env -u PIP_FIND_LINKS -u PIP_EXTRA_INDEX_URL -u PIP_CONFIG_FILE \
        -u LD_PRELOAD "${settings[@]}" HOME=/root \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        sh -c 'cd "$0" && exec "$@"' "$tree" "$@"
}

prepare() {
    local version lacking=()
    if [ "$(id -u)" != 0 ] || ! unshare --mount true 2>/dev/null; then
        say "needs root, to mount and chroot"
        return 1
    fi
    if [ ! -x "$root/usr/bin/apt-get" ]; then
        if ! command -v debootstrap >/dev/null; then
            apt-get -q update >&2
            DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
                debootstrap debian-archive-keyring >&2
        fi
        say "debootstrap into $root"
        rm -rf "$root.part"
        mkdir -p "$root.part"
        debootstrap --variant=minbase --include=gcc,libc6-dev,ca-certificates sid "$root.part" "$mirror" >&2
        mv "$root.part" "$root"
    fi
    for version in "${versions[@]}"; do
        if [ ! -x "$root/usr/bin/python$version" ] || [ ! -x "$root/usr/bin/python$version-dbg" ] \
            || [ ! -e "$root/usr/lib/python$version/test/test_tracemalloc.py" ]; then
            lacking+=("$version")
        fi
    done
    [ ${#lacking[@]} -gt 0 ] || return 0
    # A mirror may lag behind, and then its list says that it has expired.
    run /srv apt-get -q -o Acquire::Check-Valid-Until=false update >&2 || say "apt-get update failed"
    for version in "${lacking[@]}"; do
        run /srv env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
            "python$version" "python$version"-{dev,venv,dbg} "libpython$version-testsuite" >&2 \
            || say "no complete CPython $version in Debian sid today"
    done
}

case ${1:-} in
    prepare) prepare ;;
    run) shift; run "$@" ;;
    *) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
