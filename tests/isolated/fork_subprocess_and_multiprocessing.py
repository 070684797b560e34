"""The standard library's ways to fork: subprocess, preexec_fn, multiprocessing, os.posix_spawn."""

import multiprocessing
import os
import subprocess
import sys
import warnings

from _support import exercise, m, wait_child


def task(number: int) -> int:
    exercise(50)
    assert m.is_tracing()
    return len(m.take_snapshot()) and number * 2


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)
    m.start(5)
    for _ in range(10):
        subprocess.run(["/bin/true"], check=True, timeout=5)
        subprocess.run(["/bin/true"], check=True, timeout=5, preexec_fn=exercise)
        assert wait_child(os.posix_spawn("/bin/true", ["true"], {})) == 0
    done = subprocess.run(
        [sys.executable, "-c", "print(1)"], check=True, capture_output=True, timeout=20
    )
    assert done.stdout == b"1\n"
    with multiprocessing.get_context("fork").Pool(3) as pool:
        assert pool.map(task, range(20)) == [number * 2 for number in range(20)]
    m.stop()
