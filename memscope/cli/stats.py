"""``memscope stats``: what allocated the memory in a snapshot of allocations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.cli.output import CommandError, add_output, give
from memscope.cli.saved import load_allocations
from memscope.grouping import KEYS

if TYPE_CHECKING:
    import argparse


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a snapshot, also tracemalloc's own; -: stdin")
    add_by(parser)
    parser.add_argument(
        "--only-my-code", action="store_true", help="without Python's and installed packages'"
    )
    parser.add_argument("--filename", metavar="PATTERN", help="only of files like this: */app/*")
    parser.add_argument("--module", metavar="PATTERN", help="only of modules like this: app.*")
    add_output(parser, "write the table there; .json: as data", rows=10)


def add_by(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by",
        metavar="KEY",
        choices=KEYS,
        default="lineno",
        help=f"one of {', '.join(KEYS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--cumulative", action="store_true", help="count a block for all its callers, too"
    )


def check_by(options: argparse.Namespace) -> None:
    if options.cumulative and options.by == "traceback":
        raise CommandError("--cumulative says nothing with --by traceback: leave one of them out")


def run(options: argparse.Namespace) -> int:
    check_by(options)
    snapshot = load_allocations(options.file).filter(
        filename=options.filename,
        module=options.module,
        only_my_code=options.only_my_code,
        all_frames=options.cumulative,
    )
    give(options, snapshot.statistics(options.by, options.cumulative))
    return 0
