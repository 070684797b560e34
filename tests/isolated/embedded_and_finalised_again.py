"""An embedding program finalises the interpreter with tracing on, and starts another one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from _support import m, skip

HERE = Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("build", HERE.parent / "ext" / "build.py")
assert spec is not None and spec.loader is not None
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)
try:
    program = build.build_embed()
except build.BuildError as error:
    skip(f"libpython cannot be linked: {error}")

CODE = """
import sys
from memscope import _memscope as m
{before}
m.start(5)
kept = [[i] for i in range(1000)]
assert len(m.take_snapshot()) > 1000
{after}
"""
PATHS = [str(Path(m.__file__).resolve().parents[1]), *sys.path[1:]]
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "PYTHONFAULTHANDLER": "1"}
ENV["PYTHONHOME"] = f"{sys.base_prefix}:{sys.base_exec_prefix}"


def run(code: str, times: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([program, code, str(times)], env=ENV, capture_output=True, timeout=30)


if run("import encodings, zlib", 2).returncode:
    skip("an embedded interpreter does not start twice here even without memscope")
for before in ("", "assert not m.is_tracing(); m.stop()"):
    for after in ("", "m.stop()", "m.stop(); m.start()"):
        done = run(CODE.format(before=before, after=after), 3)
        assert done.returncode == 0, (before, after, done)
