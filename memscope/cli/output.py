"""Where results go: a file that was not there before, or the standard output; and chatter."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from memscope import files
from memscope.table import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = [
    "CommandError",
    "add_output",
    "check_free",
    "file_errors",
    "give",
    "natural",
    "print_json",
    "progress",
    "save",
    "say",
    "write",
]

SCHEMA = 1
"""Version of the plain data that commands give; of a leak report, LeakReport's own."""


class CommandError(Exception):
    """What was asked for cannot be done: one sentence, which says what can be."""


def add_output(parser: argparse.ArgumentParser, what: str, *, rows: int | None = None) -> None:
    """The options that say where the result goes and as what; *rows*: those of a table."""
    parser.add_argument("-o", "--output", metavar="FILE", help=what)
    parser.add_argument("-f", "--force", action="store_true", help="overwrite a file that is there")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but the result")
    parser.add_argument("--json", action="store_true", help="as JSON instead of text")
    if rows is not None:
        parser.add_argument(
            "-n",
            "--limit",
            metavar="ROWS",
            type=natural,
            default=rows,
            help="rows of a table; 0: all (default: %(default)s)",
        )


def natural(text: str) -> int:
    """The type of an option that is a number from 0 on."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a number from 0 on is needed, not {text!r}")
    return int(text)


def give(options: argparse.Namespace, answer: Any) -> None:
    """An answer with show() and to_dict(), to where and as what *options* say."""
    path: str | None = options.output
    if options.json or (path or "").endswith(".json"):
        write(path, json.dumps({"schema": SCHEMA, **answer.to_dict()}, indent=2), options)
    elif path is None or path == "-":
        show(answer, options, None)
    else:
        text = io.StringIO()
        show(answer, options, text)
        write(path, text.getvalue().rstrip("\n"), options)


def show(answer: Any, options: argparse.Namespace, file: IO[str] | None) -> None:
    if hasattr(options, "limit"):
        answer.show(options.limit or None, file)
    else:
        answer.show(file)


def check_free(path: str, force: bool) -> None:
    """Refuse *path* if it is there, unless *force*, or cannot be made."""
    if path == "-":
        return
    if os.path.isdir(path):
        raise CommandError(f"{path!r} is a folder: name a file")
    if os.path.isfile(path) and not force:
        raise CommandError(f"{path!r} is there already: -f overwrites it, or name another with -o")
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise CommandError(f"there is no folder {folder!r} to write {os.path.basename(path)!r} to")
    if not os.access(folder, os.W_OK):
        raise CommandError(f"the folder {folder!r} cannot be written to: name a file elsewhere")


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """What the system says about *path*, as one sentence."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise CommandError(f"{path!r}: {reason}") from error


def save(path: str, options: argparse.Namespace, writer: Callable[[str], object]) -> None:
    """Have *writer* write the file *path*, and say so."""
    check_free(path, options.force)
    with file_errors(path):
        writer(path)
    if not options.quiet:
        say(f"written to {path}")


def write(path: str | None, text: str, options: argparse.Namespace) -> None:
    """*text* to the file *path*; None and "-": to the standard output."""
    if path is None or path == "-":
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding))
        return
    data = f"{text}\n".encode(errors="backslashreplace")
    save(path, options, lambda name: files.write_whole(name, data))


def print_json(data: Any) -> None:
    """Plain data to the standard output."""
    print(json.dumps(data, indent=2))


def say(text: str) -> None:
    """One line of chatter."""
    print(f"memscope: {printable(text)}", file=sys.stderr, flush=True)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Say what takes long while it does; to a person only."""
    if not sys.stderr.isatty():
        yield
        return
    text = f"{printable(text)} ..."
    print(text, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print(f"\r{' ' * len(text)}\r", end="", file=sys.stderr, flush=True)
