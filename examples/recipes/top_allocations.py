"""Which lines hold the most memory, right now?

The first look at an unknown service: the lines of your own code that hold most, with their
source.  Start tracing before the memory is allocated; what was there before is not seen.
"""

from __future__ import annotations

import memscope
from examples.leaks import raw_uploads as service


def main() -> None:
    memscope.start()
    service.work()
    snapshot = memscope.take_snapshot()
    memscope.stop()

    snapshot.only_my_code().show(limit=5)  # or: show("package"), show("traceback")


if __name__ == "__main__":
    main()
