"""diagnose() in a subinterpreter tells that interpreter's leak, or refuses in words."""

import sys

from _support import ext, skip

import memscope

CODE = f"""
import sys
sys.path[:] = {sys.path!r}
try:
    import memscope
    kept = []
    def work():
        kept.extend([object()] for _ in range(30))
    report = memscope.diagnose(work, rounds=3, nframe=0)
    assert [80 <= leak.count <= 90 for leak in report.leaks] == [True], report
    str(report)
except ImportError as refused:
    print(refused)
"""
try:
    run = ext.run_in_subinterp
except AttributeError:
    skip("the test extension has no run_in_subinterp")
for _ in range(2):
    assert run(CODE, 0) in (0, None)
kept: list[object] = []


def work() -> None:
    kept.extend([object()] for _ in range(30))


report = memscope.diagnose(work, rounds=3)
assert sum(leak.count for leak in report.leaks if "kept" in leak.holder) == 90, report
