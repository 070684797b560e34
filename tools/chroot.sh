# shellcheck shell=bash
# Debian systems in folders, to test on.  To be sourced; needs root.
#
#   chroot_possible                      0, or 1 and the reason on stderr
#   chroot_make ROOT SUITE PACKAGE,...   a minimal system; one that is complete is left alone
#   chroot_run ROOT TREE COMMAND...      COMMAND in it, in TREE, a directory that it shares
#
# What is mounted is seen by COMMAND alone and is gone with it.

chroot_mirror=http://deb.debian.org/debian

chroot_possible() {
    if [ "$(id -u)" != 0 ] || ! unshare --mount true 2>/dev/null; then
        echo "needs root, to mount and chroot" >&2
        return 1
    fi
    if ! command -v debootstrap >/dev/null; then
        apt-get -q update >&2
        DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends \
            debootstrap debian-archive-keyring >&2
    fi
}

chroot_make() {
    [ ! -x "$1/usr/bin/apt-get" ] || return 0
    rm -rf "$1" "$1.part"
    mkdir -p "$1.part"
    debootstrap --variant=minbase --include="$3" "$2" "$1.part" "$chroot_mirror" >&2 || return 1
    mv "$1.part" "$1"
}

chroot_run() {
    local root=$1 tree name value settings=()
    if [ ! -x "$root/usr/bin/apt-get" ]; then
        echo "no system in $root: it has to be prepared first" >&2
        return 1
    fi
    local bundle=${PIP_CERT:-${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}}
    tree=$(realpath "$2")
    shift 2
    mkdir -p "$root$tree" "$root/root/.cache/pip" "$HOME/.cache/pip"
    # The network settings of this machine's pip; folders it has, the other has not.
    while IFS='=' read -r name value; do
        value=${value#\'}
        settings+=("PIP_$(tr 'a-z-' 'A-Z_' <<<"$name")=${value%\'}")
    done < <(python3 -m pip config list 2>/dev/null \
        | sed -nE 's/^[a-z:]+\.((index-url|proxy|trusted-host|retries)=)/\1/p')
    if [ -e "$bundle" ]; then
        settings+=({PIP_CERT,SSL_CERT_FILE}"=/etc/ssl/certs/ca-certificates.crt")
    fi
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
