"""``memscope run``: a program, and the report of what leaks in it.

The interpreter is started anew in this process with the program as its own, and with one
module of ours that it imports first (memscope/startup): from there on memscope.session
does the work.  So a program cannot tell that it is not run by ``python`` alone.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import NoReturn

import memscope
from memscope.cli.output import CommandError, check_free
from memscope.session import REPORT_SUFFIXES, SNAPSHOT_SUFFIX

USAGE = "%(prog)s [options] (FILE | -m MODULE | -c COMMAND) [argument ...]"

EPILOG = """\
The program runs as with python alone: arguments, output, exit status.  The report comes when
it has ended, and whenever the process gets the signal: to stderr, or to the files that -o
names, whose ends say what is in them:

  .html .json .txt    the report
  .memscope           every live block and who allocated it: memscope stats, memscope diff
  -                   the report, to stdout

A report that the signal asked for has a number in its file's name.
Exit status: the program's; 2 if it could not be started; with --fail-on-leak, 1 if the
program's is 0 and something leaks.
"""

TAKES_VALUE = {"-o", "--output", "--heap", "--nframe", "--interval", "--signal"}


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    parser.epilog = EPILOG
    parser.add_argument(
        "-o", "--output", metavar="FILE", action="append", default=[], help="may be repeated"
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite files that are there")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing: only write the files of -o"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--heap", metavar="FILE", help="also save a heap snapshot")
    parser.add_argument(
        "--nframe",
        metavar="N",
        type=read_nframe,
        default=NFRAME,
        help="frames kept of each traceback (default: %(default)s)",
    )
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=_interval,
        help="between two checkpoints; 0: none (default: by what they cost)",
    )
    parser.add_argument(
        "--signal",
        metavar="NAME",
        type=_signal,
        default="USR1" if hasattr(signal, "SIGUSR1") else "none",
        help="asks for a report while the program runs; none: no signal (default: %(default)s)",
    )
    parser.add_argument(
        "--fail-on-leak", action="store_true", help="exit with status 1 if something leaks"
    )
    # Only to be named in the help: what they introduce was split off before.
    what = parser.add_argument_group("the program")
    what.add_argument("-m", metavar="MODULE", dest="_", help="a module, as python -m runs it")
    what.add_argument("-c", metavar="COMMAND", dest="_", help="the text of a program")


NFRAME = 10


def split(words: list[str]) -> tuple[list[str], list[str]]:
    """("run" and its options, the interpreter's arguments from the program on).

    As the interpreter reads its own: what follows the program is the program's, whatever
    it looks like.
    """
    position = 1
    while position < len(words):
        word = words[position]
        if word == "--":
            return words[:position], words[position + 1 :]
        if not word.startswith("-") or word == "-":
            return words[:position], words[position:]
        position += 1
        if word.startswith("--"):
            position += word in TAKES_VALUE
            continue
        for index, letter in enumerate(word[1:], 1):
            if letter in "mc":
                before = [word[:index]] if index > 1 else []
                return [*words[: position - 1], *before], [f"-{word[index:]}", *words[position:]]
            if f"-{letter}" in TAKES_VALUE:
                position += index == len(word) - 1
                break
    return words, []


def run(options: argparse.Namespace) -> int:
    program: list[str] = options.program
    if not program or program in (["-m"], ["-c"]):
        raise CommandError("no program to run: name a file, -m MODULE or -c COMMAND")
    _check_interpreter()
    for name in options.output:
        if name != "-" and not name.endswith((*REPORT_SUFFIXES, SNAPSHOT_SUFFIX)):
            raise CommandError(
                f"cannot tell from the name what to write to {name!r}: it must end in"
                f" {', '.join(REPORT_SUFFIXES)} or {SNAPSHOT_SUFFIX}"
            )
        check_free(name, options.force)
    if options.heap is not None:
        check_free(options.heap, options.force)
    settings = {
        "root": os.path.dirname(os.path.dirname(os.path.abspath(memscope.__file__))),
        "folder": _folder(program),
        "pythonpath": os.environ.get("PYTHONPATH"),
        "outputs": [name if name == "-" else os.path.abspath(name) for name in options.output],
        "heap": None if options.heap is None else os.path.abspath(options.heap),
        "quiet": options.quiet,
        "json": options.json,
        "nframe": options.nframe,
        "interval": options.interval,
        "signal": options.signal,
        "verdict": None,
        "title": _title(program),
    }
    command = [sys.executable, *_interpreter_options(), *program]
    sys.stdout.flush()
    sys.stderr.flush()
    if options.fail_on_leak:
        return _run_below(command, settings)
    return _become(command, settings)


def _become(command: list[str], settings: dict[str, object]) -> NoReturn:
    try:
        os.execve(command[0], command, _environment(settings))
    except OSError as error:
        raise CommandError(f"cannot start {command[0]!r}: {error.strerror}") from error


def _run_below(command: list[str], settings: dict[str, object]) -> int:
    """Run it in a process of its own: only its parent can change how it is seen to exit."""
    import subprocess

    reading, writing = os.pipe()
    settings["verdict"] = writing
    process = subprocess.Popen(command, env=_environment(settings), pass_fds=[writing])
    os.close(writing)

    def forward(number: int, frame: object) -> None:
        process.send_signal(number)

    # A terminal sends its signals to both of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, signal.SIG_IGN)
    for number in {signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, settings["signal"]} - {None}:
        signal.signal(number, forward)  # type: ignore[arg-type]
    status = process.wait()
    os.set_blocking(reading, False)
    try:
        verdict = os.read(reading, 4)
    except BlockingIOError:  # no verdict, and a process that it left has the other end
        verdict = b""
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status or int(verdict == b"leak")


def _environment(settings: dict[str, object]) -> dict[str, str]:
    import marshal

    startup = os.path.join(os.path.dirname(os.path.abspath(memscope.__file__)), "startup")
    others = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([startup, others]) if others else startup,
        "MEMSCOPE_RUN": marshal.dumps(settings).hex(),
    }


def _check_interpreter() -> None:
    """That the program can be watched at all, before it is started."""
    if not sys.executable:
        raise CommandError(
            "this interpreter does not know its own file, so it cannot be started anew"
        )
    flags = sys.flags
    for set_, name in (
        (flags.isolated, "-I"),
        (flags.ignore_environment, "-E"),
        (flags.no_site, "-S"),
    ):
        if set_:
            raise CommandError(
                f"with {name}, the interpreter reads no start-up module, so run does not work:"
                f" leave {name} out, or call memscope.watch() in the program"
            )
    try:
        from memscope import _memscope as core
    except ImportError as error:
        raise CommandError(
            f"the C core cannot be loaded, so nothing can be watched: {error}"
        ) from error
    if reason := core.status()["frames"]:
        raise CommandError(f"nothing can be watched on this interpreter: {reason}")


def _interpreter_options() -> list[str]:
    """The options that this interpreter was started with: the program's gets them too."""
    words = sys.orig_argv[1:]
    own = sys.argv[1:]
    if not own or words[-len(own) :] != own:
        from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

        return list(_args_from_interpreter_flags())
    words = words[: -len(own)]
    last = words.pop() if words else ""
    # "-m memscope", "-um memscope", "-mmemscope"; else the path of the memscope script.
    if not last.startswith("-") and words and is_module_option(words[-1]):
        last = words.pop()
    if last.startswith("-"):
        letters = last[1:].partition("m")[0]
        words += [f"-{letters}"] * bool(letters)
    return words


def is_module_option(word: str) -> bool:
    """Whether *word* ends with the interpreter's -m: "-m", "-um", but not "-Wm"."""
    return word.startswith("-") and word.endswith("m") and not set(word[1:-1]) & set("-WXc")


def _folder(program: list[str]) -> str | None:
    """Where the interpreter looks first for the program's modules; None: nowhere of its own."""
    if sys.flags.safe_path:
        return None
    if program[0].startswith("-"):
        return os.getcwd()
    path = os.path.realpath(program[0])
    return path if os.path.isdir(path) else os.path.dirname(path)


def _title(program: list[str]) -> str:
    if program[0].startswith("-") and len(program[0]) > 2:
        program = [program[0][:2], program[0][2:], *program[1:]]
    if program[0] == "-m":
        return f"python -m {program[1]}"
    return "python -c" if program[0] == "-c" else program[0]


def read_nframe(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"a number from 1 to 65535 is needed, not {text!r}")
    return int(text)


def _interval(text: str) -> float:
    return 0.0 if text == "0" else positive(text)


def positive(text: str) -> float:
    """The type of an option in seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds is needed, not {text!r}")
    return seconds


def _signal(text: str) -> int | None:
    """The number of a signal: "USR1", "SIGUSR1" or "10"."""
    if text.lower() == "none":
        return None
    name = text.upper()
    name = name if name.startswith("SIG") else f"SIG{name}"
    try:
        number = signal.Signals[name] if not text.isdecimal() else signal.Signals(int(text))
        if number in (signal.SIGKILL, signal.SIGSTOP):
            raise ValueError
    except (KeyError, ValueError):
        message = f"no signal that can be caught: {text!r}; name one such as USR2, or none"
        raise argparse.ArgumentTypeError(message) from None
    return int(number)
