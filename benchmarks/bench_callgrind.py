"""Instructions per allocated and freed block, counted by callgrind.

Counts do not depend on what else the machine does: equal runs count the same.
They say nothing about cache misses, so they stand beside the times and do not
replace them.

python -m benchmarks.bench_callgrind [--tools off,memscope-1]
"""

import argparse
import re
import shutil
import sys
from typing import Any

from benchmarks import tools
from benchmarks._harness import (
    ChildError,
    Options,
    Report,
    Table,
    child_command,
    main,
    progress,
    run_command,
)

TOOLS = ("off", "memscope-1", "memscope-25", "tracemalloc-1", "tracemalloc-25")
KERNELS = {
    "object": "[object() for _ in block]",
    "str": "[str(i) for i in block]",
    "list": "[[i] for i in block]",
    "append": "[row.append(None) for row in [[] for _ in block] for _ in range(16)]",
}
"""Each makes some blocks for each item of ``block`` and drops them again."""

_DEPTH = 20


def count(tool: str, kernel: str, items: int, rounds: int) -> None:
    """Under callgrind: run a kernel at a stack of some 20 frames, then leave at once.

    The statement is compiled with fixed names so that its cost is the kernel's alone.
    """
    tools.start(tool)
    block = range(1000, 1000 + items)
    space: dict[str, Any] = {"block": block}
    exec(compile(f"def run():\n    return {KERNELS[kernel]}\n", "<kernel>", "exec"), space)
    run = space["run"]

    def descend(frames: int) -> None:
        if frames:
            descend(frames - 1)
            return
        for _ in range(rounds):
            run()

    descend(_DEPTH)


def instructions(options: Options, tool: str, kernel: str, items: int, rounds: int) -> int:
    """Instructions of a whole process that runs the kernel ``rounds`` times.

    Raises:
        ChildError: It failed, or callgrind printed no count.
    """
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        *child_command(options, count, tool=tool, kernel=kernel, items=items, rounds=rounds),
    ]
    output = run_command(command, pinned=options.pin, timeout=900)
    match = re.search(r"Collected : (\d+)", output)
    if match is None:
        raise ChildError(f"callgrind printed no count:\n{output[-2000:]}")
    return int(match[1])


def benchmark(options: Options, chosen: argparse.Namespace) -> Report:
    """Run it all."""
    if shutil.which("valgrind") is None:
        return Report(skipped=["instruction counts: valgrind is not installed"])
    names = tuple(chosen.tools.split(",")) if chosen.tools else TOOLS
    names = ("off", *(tool for tool in names if tool != "off"))
    table = Table(
        "Instructions per item (callgrind), 20 frames deep",
        ["kernel", *names],
        notes=[
            "Start-up does not count: a figure is the difference of two processes.  An item is",
            *(f"* {name}: `{text}`" for name, text in KERNELS.items()),
            "",
            "each dropped again.",
        ],
    )
    items = 500
    few, many = (10, 20) if options.quick else (10, 40)
    raw: dict[str, dict[str, float]] = {}
    for kernel in KERNELS:
        row = raw.setdefault(kernel, {})
        for tool in names:
            progress(f"callgrind: {kernel}, {tool}")
            low, high = (
                instructions(options, tool, kernel, items, rounds) for rounds in (few, many)
            )
            row[tool] = (high - low) / (many - few) / items
        cells = [kernel, *(f"{row[tool]:.0f} ({row[tool] / row['off']:.2f}x)" for tool in names)]
        table.rows.append(cells)
    return Report([table], [], [], {"instructions": raw})


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this benchmark alone."""
    parser.add_argument("--tools", metavar="A,B", help=f"only these, of {','.join(TOOLS)}")


if __name__ == "__main__":
    sys.exit(main("Instructions per allocation.", benchmark, arguments))
