#!/usr/bin/env bash
# The two commands of README.md on a new Debian 12 that has only git, make and python3.
#
#   tools/fresh.sh
#
# PYTEST_ARGS and AGAIN, if they are set, are handed to make test.
#
# The empty system is kept in ${MEMSCOPE_CACHE:-~/.cache/memscope}/bookworm; what is run is a
# copy of it, thrown away afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/chroot.sh
. tools/chroot.sh
empty=${MEMSCOPE_CACHE:-$HOME/.cache/memscope}/bookworm
machine=$PWD/build/fresh/machine
tree=$PWD/build/fresh/memscope

chroot_possible
chroot_make "$empty" bookworm git,make,python3,ca-certificates
rm -rf build/fresh
mkdir -p build/fresh
cp -a "$empty" "$machine"
trap 'rm -rf "$machine"' EXIT
tools/copy.sh "$tree"
chroot_run "$machine" "$tree" make demo
chroot_run "$machine" "$tree" make test ${PYTEST_ARGS:+PYTEST_ARGS="$PYTEST_ARGS"} ${AGAIN:+AGAIN="$AGAIN"}
