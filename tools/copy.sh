#!/usr/bin/env bash
# A copy of the source tree, without what was built in it.
#
#   tools/copy.sh DIRECTORY
#
# DIRECTORY keeps a .venv and a build/ it already has; all else in it is replaced.
set -euo pipefail
cd "$(dirname "$0")/.."

directory=$1
mkdir -p "$directory"
find "$directory" -mindepth 1 -maxdepth 1 ! -name .venv ! -name build -exec rm -rf {} +
tar -cf - --exclude=./build --exclude=./dist --exclude=./.git --exclude=./.venv --exclude='*.so' \
    --exclude=__pycache__ --exclude='./.*_cache' --exclude='*.egg-info' . | tar -xf - -C "$directory"
