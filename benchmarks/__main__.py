"""python -m benchmarks: the whole table in some six minutes.

The repeats are few and the spreads accordingly wide; README.md says how the
published table is made.
"""

import argparse
import sys

from benchmarks import (
    bench_callgrind,
    bench_dominators,
    bench_heap,
    bench_heap_file,
    bench_leaks,
    bench_pyperformance,
    bench_pytest,
    bench_snapshot,
    bench_trace,
    bench_web,
)
from benchmarks._harness import Options, Report, main


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Every benchmark in turn, in one report."""
    report = Report()
    parts = (
        *(bench_trace, bench_pyperformance, bench_snapshot),
        *(
            bench_heap,
            bench_dominators,
            bench_heap_file,
            bench_leaks,
            bench_pytest,
            bench_web,
            bench_callgrind,
        ),
    )
    for part in parts:
        if part is bench_callgrind and not chosen.callgrind:
            continue
        own = argparse.ArgumentParser()
        part.arguments(own)
        report.extend(part.benchmark(options, own.parse_args([])))
    return report


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the whole."""
    parser.add_argument(
        "--callgrind", action="store_true", help="count instructions too (ten more minutes)"
    )
    parser.add_argument(
        "--full", dest="quick", action="store_false", help="all repeats: about an hour"
    )
    parser.set_defaults(quick=True)


if __name__ == "__main__":
    sys.exit(main(__doc__.partition("\n")[0], benchmark, arguments))
