"""``memscope refs``: what is around the objects of a type, as text or as a picture."""

from __future__ import annotations

import os
from contextlib import redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

from memscope.cli.output import CommandError, check_free, file_errors, natural, progress, say
from memscope.cli.saved import load_heap
from memscope.cli.why import add_objects, find
from memscope.heap_rows import ObjectRows
from memscope.pictures import SUFFIXES

if TYPE_CHECKING:
    import argparse


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add_objects(parser)
    parser.add_argument(
        "--forward", action="store_true", help="what they refer to, instead of who refers to them"
    )
    parser.add_argument(
        "--depth",
        metavar="N",
        type=natural,
        default=3,
        help="references far (default: %(default)s)",
    )
    parser.add_argument(
        "--width",
        metavar="N",
        type=natural,
        default=10,
        help="neighbours of one object that are drawn one by one (default: %(default)s)",
    )
    parser.add_argument(
        "-n",
        "--limit",
        metavar="N",
        type=natural,
        default=1,
        help="objects to begin from, largest first (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help=f"a picture: {', '.join(SUFFIXES)}")
    parser.add_argument("-f", "--force", action="store_true", help="overwrite a file that is there")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but the result")


def run(options: argparse.Namespace) -> int:
    path = None if options.output == "-" else options.output
    if path is not None:
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in SUFFIXES:
            raise CommandError(
                f"cannot draw a picture as {path!r}: the name must end in {', '.join(SUFFIXES)}"
            )
        check_free(path, options.force)
    snapshot = load_heap(options.file)
    found = find(options, snapshot)
    rows = ObjectRows(found.title, found.nodes[: options.limit or 1], lambda nodes: [])
    if len(rows) < len(found) and not options.quiet:
        say(f"{len(rows)} of {len(found):,} objects; --limit draws more, memscope why merges them")
    draw = snapshot.show_refs if options.forward else snapshot.show_backrefs
    if path is None:
        draw(rows, max_depth=options.depth, too_many=options.width)
        return 0
    said = StringIO()
    with progress("drawing"), file_errors(path), redirect_stdout(said):
        draw(rows, filename=path, max_depth=options.depth, too_many=options.width)
    if not options.quiet:
        say(said.getvalue().strip())
    return 0 if os.path.exists(path) else 1
