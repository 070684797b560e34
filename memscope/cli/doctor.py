"""``memscope doctor``: what works on this interpreter, what does not, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.cli.output import print_json

if TYPE_CHECKING:
    import argparse


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0 if all that memscope does works here, 1 if not."
    parser.add_argument("--json", action="store_true", help="as JSON instead of text")


def run(options: argparse.Namespace) -> int:
    from memscope import doctor

    examination = doctor.examine(probe=True)
    if options.json:
        print_json(examination.to_dict())
    else:
        print(examination)
    return 0 if examination.works else 1
