"""``memscope why``: who holds the objects of a type, by name, from a root on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.cli.output import CommandError, add_output, give, natural, progress
from memscope.cli.saved import load_heap
from memscope.table import printable

if TYPE_CHECKING:
    import argparse

    from memscope.heap import HeapSnapshot
    from memscope.heap_rows import ObjectRows


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add_objects(parser)
    parser.add_argument(
        "--paths",
        metavar="N",
        type=natural,
        default=5,
        help="ways of being held to show, those of most objects first (default: %(default)s)",
    )
    add_output(parser, "write the paths there; .json: as data")


def add_objects(parser: argparse.ArgumentParser) -> None:
    """The arguments that choose objects of a heap snapshot."""
    parser.add_argument("file", metavar="FILE", help="a heap snapshot; -: stdin")
    parser.add_argument("type", metavar="TYPE", help="a class, with or without its module")
    parser.add_argument(
        "--min-size", metavar="BYTES", type=natural, default=0, help="only objects this large"
    )


def find(options: argparse.Namespace, snapshot: HeapSnapshot) -> ObjectRows:
    """The objects that *options* choose.  Raises CommandError if there are none."""
    rows = snapshot.find(type=options.type, min_size=options.min_size)
    if len(rows):
        return rows
    from difflib import get_close_matches

    larger = f" of {options.min_size:,} bytes or more" if options.min_size else ""
    names = {
        name.rpartition(".")[2].lower(): name
        for name in (row.type_name for row in snapshot.types())
    }
    wanted = options.type.rpartition(".")[2].lower()
    similar = [names[match] for match in get_close_matches(wanted, names)]
    hint = f"like it: {', '.join(map(printable, similar))}; " if similar else ""
    raise CommandError(
        f"no objects of type {options.type!r}{larger} in {options.file!r}:"
        f" {hint}memscope types {options.file} lists all"
    )


def run(options: argparse.Namespace) -> int:
    snapshot = load_heap(options.file)
    rows = find(options, snapshot)
    with progress(f"looking for who holds {len(rows):,} objects"):
        paths = snapshot.paths_to_root(rows, limit=options.paths or len(rows))
    give(options, paths)
    return 0
