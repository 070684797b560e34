"""``memscope report``: a saved leak report as text, as a page, or as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.cli.output import add_output, give, save
from memscope.cli.saved import load_report

if TYPE_CHECKING:
    import argparse


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Exit status: 0; with --fail-on-leak 1 if there is a leak; 2 if FILE is bad."
    parser.add_argument("file", metavar="FILE", help="a report that was saved as .json; -: stdin")
    add_output(parser, "write it there: .html a page, .json data, else text; -: stdout")
    parser.add_argument(
        "--fail-on-leak", action="store_true", help="exit with status 1 if there is a leak"
    )


def run(options: argparse.Namespace) -> int:
    report = load_report(options.file)
    if options.output not in (None, "-") and not options.json:
        save(options.output, options, report.save)
    else:
        give(options, report)
    return int(bool(report) and options.fail_on_leak)
