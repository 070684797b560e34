"""``memscope attach``: watch a process that runs already, and report what leaks in it.

sys.remote_exec has the process run a few lines, which begin a thread there
(memscope.agent); it sends its report through a socket in a folder that only the two can
enter.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import memscope
from memscope.cli.output import CommandError, add_output, check_free, give, save, say
from memscope.table import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

NFRAME = 10
DURATION, TIMEOUT = 30.0, 60.0
SPANS = 6
"""Checkpoints in the time of watching."""
PATIENCE = 3.0
"""Seconds without an answer after which it is said what is waited for."""

LONGEST_ADDRESS = 100
"""Of a Unix socket, in bytes: the system's limit is 104 or 108."""

LONGEST_MESSAGE = 1 << 26

EPILOG = """\
Both sides must be the same CPython 3.14 or later.  Watching the process of another user, and
on many systems any process, takes the right to trace it: root, or CAP_SYS_PTRACE.

While it is watched, the process traces its allocations and has one thread more.  Then, that
is over; that the memscope package is imported remains.  Ctrl-C ends the watching early and
still gives the report.  Exit status: 0; 1 with --fail-on-leak if something leaks; 2 if the
process cannot be watched.
"""

# Run by the main thread of the process between two of its instructions, wherever it is:
# even an import here could meet a module half imported.
SCRIPT = """\
def _memscope_begin():
    import _thread
    def begin():
        address, root, options = {arguments}
        try:
            import sys
            try:
                import memscope
            except ImportError:
                sys.path.insert(0, root)
                try:
                    import memscope
                finally:
                    sys.path.remove(root)
            from memscope import agent
        except BaseException as error:
            import json, socket
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(address)
                text = f"memscope cannot be imported there: {{error}}"
                line.sendall(json.dumps({{"error": text}}).encode() + b"\\n")
        else:
            agent.serve(address, options)
    _thread.start_new_thread(begin, ())
_memscope_begin()
"""


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    from memscope.cli.run import positive, read_nframe

    parser.epilog = EPILOG
    parser.add_argument("pid", metavar="PID", type=int, help="the number of the process")
    parser.add_argument(
        "--duration",
        metavar="SECONDS",
        type=positive,
        default=DURATION,
        help="how long to watch (default: %(default)g)",
    )
    parser.add_argument(
        "--interval",
        metavar="SECONDS",
        type=positive,
        help="between two checkpoints (default: a sixth of the duration)",
    )
    parser.add_argument(
        "--nframe",
        metavar="N",
        type=read_nframe,
        default=NFRAME,
        help="frames kept of each traceback (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=positive,
        default=TIMEOUT,
        help="how long to wait until the process begins (default: %(default)g)",
    )
    add_output(parser, "write the report there: .html, .json, else text; -: stdout")
    parser.add_argument(
        "--fail-on-leak", action="store_true", help="exit with status 1 if something leaks"
    )


def run(options: argparse.Namespace) -> int:
    from memscope.leak_report import LeakReport

    remote_exec = _remote_exec()
    if options.output not in (None, "-"):
        check_free(options.output, options.force)
    owner = _owner(options.pid)
    folder = _private_folder()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            answer = _ask(remote_exec, options, folder, server, owner)
    finally:
        _remove(folder)
    if "error" in answer:
        raise CommandError(f"process {options.pid} could not be watched: {answer['error']}")
    try:
        report = LeakReport.from_dict(answer["report"])
    except (KeyError, ValueError) as error:
        raise CommandError(
            f"process {options.pid} sent something else than a report: {error}"
        ) from error
    if options.output not in (None, "-") and not options.json:
        save(options.output, options, report.save)
    else:
        give(options, report)
    return int(bool(report) and options.fail_on_leak)


def _remote_exec() -> Callable[[int, str], None]:
    found: Callable[[int, str], None] | None = getattr(sys, "remote_exec", None)
    if found is not None:
        return found
    version = "{}.{}".format(*sys.version_info[:2])
    why = (
        "was built without remote debugging"
        if sys.version_info >= (3, 14)
        else "is older than that"
    )
    raise CommandError(
        f"attach needs sys.remote_exec of CPython 3.14 or later, and this CPython {version} {why}:"
        " start the program with memscope run, or call memscope.watch() in it"
    )


def _owner(pid: int) -> int:
    """The user of the process.  Raises CommandError if it is not there, or cannot be reached."""
    if pid == os.getpid():
        raise CommandError("that is this process: name another, or call memscope.watch() in it")
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        raise CommandError(f"there is no process {pid}") from None
    except PermissionError:
        raise _denied(pid) from None
    try:
        same = os.path.samefile(f"/proc/{pid}/root", "/")
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:  # no /proc, or we may not look: remote_exec will say
        return os.geteuid()
    if not same:
        raise CommandError(
            f"process {pid} has another root folder than this one, as in a container:"
            " run memscope attach in there"
        )
    return owner


def _denied(pid: int) -> CommandError:
    return CommandError(
        f"not allowed to look into process {pid}: be its user or root, and where the system asks"
        " for it (kernel.yama.ptrace_scope, containers) have CAP_SYS_PTRACE, as with sudo"
    )


def _private_folder() -> str:
    """A new folder that nobody else can enter, with a path short enough for a socket."""
    folder = tempfile.mkdtemp(prefix="memscope-")
    if len(os.fsencode(folder)) > LONGEST_ADDRESS - len("/socket"):
        os.rmdir(folder)
        folder = tempfile.mkdtemp(prefix="memscope-", dir="/tmp")
    return folder


def _remove(folder: str) -> None:
    """Remove the folder, unless the process may still look for the lines it is to run."""
    if os.path.exists(os.path.join(folder, "pending")):
        return
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    os.rmdir(folder)


def _ask(
    remote_exec: Callable[[int, str], None],
    options: argparse.Namespace,
    folder: str,
    server: socket.socket,
    owner: int,
) -> dict[str, Any]:
    """Have the process watched; what it says at last."""
    from memscope.agent import PROTOCOL

    address, script = os.path.join(folder, "socket"), os.path.join(folder, "begin.py")
    server.bind(address)
    os.chmod(address, 0o600)
    server.listen(1)
    wishes = {
        "protocol": PROTOCOL,
        "title": f"process {options.pid}",
        "nframe": options.nframe,
        "duration": options.duration,
        "interval": options.interval or options.duration / SPANS,
    }
    root = os.path.dirname(os.path.dirname(os.path.abspath(memscope.__file__)))
    with open(script, "w", opener=_open_private) as file:
        file.write(SCRIPT.format(arguments=repr((address, root, wishes))))
    if owner != os.geteuid():  # only root can get here; the process must be able to read
        for path in (address, script, folder):
            os.chown(path, owner, -1)
    try:
        remote_exec(options.pid, script)
    except PermissionError:
        raise _denied(options.pid) from None
    except (OSError, RuntimeError) as error:
        raise CommandError(f"process {options.pid} cannot be watched: {error}") from error
    try:
        line = _accept(server, options, owner)
    except (CommandError, KeyboardInterrupt):
        # The process has the path of the lines and will run them when it can: nothing, then.
        if _lives(options.pid):
            with open(script, "w"):
                pass
            os.rename(address, os.path.join(folder, "pending"))
            say(f"{folder} is left there: process {options.pid} may still look for a file in it")
        raise
    with line:
        return _listen(line, options)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)


def _accept(server: socket.socket, options: argparse.Namespace, owner: int) -> socket.socket:
    begun, told = time.monotonic(), False
    while (passed := time.monotonic() - begun) < options.timeout:
        if select.select([server], [], [], 0.1)[0]:
            line = server.accept()[0]
            if _user_of(line) in (owner, None):
                return line
            line.close()  # only root gets past the folder's mode, and it is not asked
        if not _lives(options.pid):
            raise CommandError(f"process {options.pid} ended before it could be watched")
        if passed > PATIENCE and not told and not options.quiet:
            told = True
            say(
                f"process {options.pid} has not answered yet: it does when its main thread runs"
                " Python code again"
            )
    raise CommandError(
        f"process {options.pid} did not answer within {options.timeout:g} seconds: its main thread"
        " runs no Python code; --timeout waits longer"
    )


def _user_of(line: socket.socket) -> int | None:
    """Who is at the other end; None where the system does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    credentials = struct.Struct("3i")
    answer = line.getsockopt(socket.SOL_SOCKET, option, credentials.size)
    user: int = credentials.unpack(answer)[1]
    return user


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _listen(line: socket.socket, options: argparse.Namespace) -> dict[str, Any]:
    """What the process says at last; what it says before is passed on to a person."""
    rest = b""
    finishing = False
    while len(rest) < LONGEST_MESSAGE:
        try:
            piece = line.recv(1 << 16)
        except KeyboardInterrupt:
            if finishing:
                raise
            finishing = True
            say("finishing; Ctrl-C once more gives up, without a report")
            line.sendall(b'{"event": "finish"}\n')
            continue
        except OSError:
            piece = b""
        if not piece:
            return {"error": "it ended, or broke off, before there was a report"}
        *texts, rest = (rest + piece).split(b"\n")
        for text in texts:
            message = _message(text)
            if "report" in message or "error" in message:
                return message
            if not options.quiet:
                _tell(message, options)
    return {"error": "it does not stop talking"}


def _tell(message: dict[str, Any], options: argparse.Namespace) -> None:
    if message.get("event") == "begun":
        say(
            f"watching process {options.pid} for {options.duration:g} seconds; Ctrl-C ends it early"
        )
    elif sys.stderr.isatty() and isinstance(seconds := message.get("seconds"), float):
        say(f"checkpoint after {seconds:.1f} of {options.duration:g} seconds")


def _message(text: bytes) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        return {"error": "it sent something that is no message of memscope's"}
    if "error" in message:
        message["error"] = printable(str(message["error"]))
    return message
