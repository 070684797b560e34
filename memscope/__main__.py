"""``python -m memscope``, also installed as ``memscope``: see memscope.cli."""

from __future__ import annotations

import sys

from memscope.cli import main

if __name__ == "__main__":
    sys.exit(main())
