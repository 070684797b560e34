#!/usr/bin/env bash
# The sdist and a wheel built from it, their contents checked, the wheel installed and used.
#
#   tools/package.sh VENV        VENV has the dependency group "package"
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/$1/bin
out=$PWD/build/package
rm -rf "$out"
mkdir -p "$out"

# From a copy, so that only what the manifest names can get in.
tools/copy.sh "$out/tree"
"$bin/python" -m build -q --outdir "$out/dist" "$out/tree"
"$bin/twine" check --strict "$out"/dist/*

"$bin/python" - "$out"/dist/*.whl "$out"/dist/*.tar.gz <<'PYTHON'
import sys, tarfile, zipfile

wheel = set(zipfile.ZipFile(sys.argv[1]).namelist())
sdist = {name.partition("/")[2] for name in tarfile.open(sys.argv[2]).getnames()}
stray = {n for n in wheel if not n.startswith(("memscope/", "pymemscope-")) or n.endswith((".c", ".h"))}
assert not stray, f"in the wheel by mistake: {stray}"
for name in ("memscope/py.typed", "memscope/_memscope.pyi", "memscope/__init__.py"):
    assert name in wheel, f"not in the wheel: {name}"
assert any(n.endswith("licenses/LICENSE") for n in wheel), "no licence in the wheel"
for name in ("src/_memscope/module.c", "tests/conftest.py", "Makefile", "ARCHITECTURE.md", "LICENSE"):
    assert name in sdist, f"not in the sdist: {name}"
assert any(n.endswith(".h") for n in sdist), "no header in the sdist"
assert not any(n.endswith((".so", ".pyc")) for n in sdist), "something built is in the sdist"
print(f"wheel: {len(wheel)} files, sdist: {len(sdist)} files")
PYTHON

"$bin/python" -m venv "$out/venv"
"$out/venv/bin/python" -m pip --disable-pip-version-check -qq install "$out"/dist/*.whl
cd /
"$out/venv/bin/python" - <<'PYTHON'
import importlib.metadata, sys

import memscope

assert "/build/package/venv/" in memscope.__file__, memscope.__file__
memscope.start()
kept = [bytearray(1000) for _ in range(1000)]
snapshot = memscope.take_snapshot()
memscope.stop()
first = snapshot.statistics("lineno")[0]
assert first.size > 1_000_000, first
metadata = importlib.metadata.metadata("pymemscope")
assert metadata["License-Expression"] == "MIT"
needed = [one for one in importlib.metadata.requires("pymemscope") or [] if "extra ==" not in one]
assert not needed, f"a run-time dependency: {needed}"
print("installed and used:", metadata["Name"], metadata["Version"], sys.version.split()[0])
PYTHON
"$out/venv/bin/memscope" --help >/dev/null
"$out/venv/bin/python" -m memscope --help >/dev/null
