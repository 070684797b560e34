"""``memscope diff``: two snapshots of one kind, and what changed from one to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.cli.output import CommandError, add_output, give
from memscope.cli.saved import ALLOCATIONS, HEAP, load
from memscope.cli.stats import add_by, check_by

if TYPE_CHECKING:
    import argparse


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("old", metavar="OLD", help="a snapshot, of allocations or of the heap")
    parser.add_argument("new", metavar="NEW", help="a later one of the same kind; one may be -")
    add_by(parser)
    parser.add_argument(
        "--module", metavar="PATTERN", help="only classes of modules like this (heap snapshots)"
    )
    add_output(parser, "write the table there; .json: as data", rows=10)


def run(options: argparse.Namespace) -> int:
    if options.old == options.new == "-":
        raise CommandError("only one of the two can come from stdin: name a file for the other")
    check_by(options)
    old, new = (load(name, ALLOCATIONS, HEAP) for name in (options.old, options.new))
    if type(old) is not type(new):
        raise CommandError(
            f"{options.old!r} and {options.new!r} are of different kinds: two snapshots of"
            " allocations are needed, or two of the heap"
        )
    if hasattr(new, "statistics"):
        give(options, new.compare_to(old, options.by, options.cumulative))
    else:
        give(options, new.compare_to(old, module=options.module))
    return 0
