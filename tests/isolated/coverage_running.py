"""coverage measures the same lines with memscope on as with it off."""

from typing import Any

from _support import deadline, exercise, m, quick_start, skip

try:
    import coverage
except ImportError:
    skip("coverage is not installed")


def measured(traced: bool) -> Any:
    watch = coverage.Coverage(data_file=None, branch=True)
    if traced:
        m.start(25)
    watch.start()
    exercise()
    watch.stop()
    if traced:
        m.stop()
    data = watch.get_data()
    return {
        name: sorted(data.arcs(name) or ()) for name in data.measured_files() if "_support" in name
    }


plain = measured(False)
assert plain, "coverage saw nothing"
assert measured(True) == plain
watch = coverage.Coverage(data_file=None)
watch.start()
for _ in deadline(1):
    quick_start(5)
    exercise(5)
    m.stop()
watch.stop()
