"""Another malloc under everything (LD_PRELOAD of jemalloc), which itself calls what is hooked."""

import ctypes.util
import os
from pathlib import Path

from _support import python, skip

paths = sorted(Path("/usr/lib").glob("*/libjemalloc.so.2"))
found = str(paths[0]) if paths else ctypes.util.find_library("jemalloc")
if not found or not os.path.exists(found):
    skip("libjemalloc is not installed")

CODE = """
from _support import WATCHED, exercise, ext, foreign_blocks, m, quick_start
for cycle in range(20):
    quick_start(1 + cycle)
    exercise()
    m.take_snapshot()
    m.stop()
m.start()
truth = dict(ext.hammer(6, 50_000, WATCHED, 0, 64, True))
assert foreign_blocks() == set(truth)
"""
for mode in ("pymalloc", "malloc", "debug"):
    python(CODE, env={"LD_PRELOAD": found, "PYTHONMALLOC": mode})
