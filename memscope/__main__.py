"""The command line: ``python -m memscope``, also installed as ``memscope``.

Exit status: 0 all is well, 1 something does not work, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING

import memscope

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* (None: sys.argv) name; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="memscope", description="What is growing in a Python process, and who allocated it."
    )
    parser.add_argument("--version", action="version", version=f"memscope {memscope.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="command", dest="command")
    doctor = commands.add_parser(
        "doctor",
        help="say what works on this interpreter, what does not, and why",
        description="Say what works on this interpreter, what does not, and why.",
        epilog="Exit status: 0 if all that memscope does works here, 1 if not.",
    )
    doctor.add_argument("--json", action="store_true", help="as JSON instead of text")
    doctor.set_defaults(run=_doctor)
    parser.set_defaults(run=_doctor, json=False)
    options = parser.parse_args(arguments)
    status: int = options.run(options)
    return status


def _doctor(options: argparse.Namespace) -> int:
    from memscope.doctor import examine

    examination = examine(probe=True)
    print(json.dumps(examination.to_dict(), indent=2) if options.json else examination)
    return 0 if examination.works else 1


if __name__ == "__main__":
    sys.exit(main())
