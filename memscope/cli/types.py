"""``memscope types``: the objects in a heap snapshot, by type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.cli.output import add_output, give
from memscope.cli.saved import load_heap

if TYPE_CHECKING:
    import argparse


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a heap snapshot; -: stdin")
    parser.add_argument(
        "--module", metavar="PATTERN", help="only classes of modules like this: app, app.*"
    )
    add_output(parser, "write the table there; .json: as data", rows=20)


def run(options: argparse.Namespace) -> int:
    give(options, load_heap(options.file).types(module=options.module))
    return 0
