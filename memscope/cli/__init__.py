"""The command line: ``python -m memscope``, also installed as ``memscope``.

One file for each command, with prepare_parser and run.  Results go to the standard output,
all else to the standard error.

Exit status: 0 all is well; 1 something does not work, or there is a leak and --fail-on-leak
was given; 2 wrong usage, or a file that cannot be read.  ``run`` exits as the program does.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

import memscope
from memscope.cli.output import CommandError, say

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "main", "make_parser"]

COMMANDS = {
    "run": "run a program and report what leaks",
    "attach": "watch a running process and report what leaks (CPython 3.14 and later)",
    "report": "show a saved leak report, or make a page of it",
    "diff": "compare two saved snapshots",
    "stats": "what allocated the memory, from a saved snapshot of allocations",
    "types": "count and bytes by type, from a saved heap snapshot",
    "why": "who holds the objects of a type, from a saved heap snapshot",
    "refs": "what is around the objects of a type, as text or as a picture",
    "doctor": "say what works on this interpreter, what does not, and why",
}

BROKEN_PIPE, INTERRUPTED = 141, 130
"""What a shell says of a program that ended by SIGPIPE, and by SIGINT."""


def make_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for *words*: it knows all commands by name, and what these name in full."""
    parser = argparse.ArgumentParser(
        prog="memscope",
        description="What is growing in a Python process, who allocated it, and who holds it.",
        epilog="memscope COMMAND --help says more of each.  Exit status: 0 all is well;"
        " 1 something does not work, or a leak was found and --fail-on-leak given;"
        " 2 wrong usage or a file that cannot be read.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "-V", "--version", action="version", version=f"memscope {memscope.__version__}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name, text in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name in words:
            module = import_module(f"memscope.cli.{name}")
            module.prepare_parser(command)
            command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that *arguments* (None: sys.argv) name; returns the exit status.

    Without a command, the doctor's.  ``run`` does not return: it becomes the program.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    program: list[str] = []
    if words[:1] == ["run"]:
        from memscope.cli.run import split

        words, program = split(words)
    words = words or ["doctor"]
    options = make_parser(words).parse_args(words)
    options.program = program
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except CommandError as refused:
        say(str(refused))
        return 2
    except BrokenPipeError:
        # What is still in the buffer has nowhere to go, and must not be complained of at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
