"""What works in this process, what does not, and why: ``python -m memscope doctor``.

Every finding is about one subject and is "ok", a "limit" (works, but not for
everything) or a "problem" (does not work).
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Examination", "Finding", "examine"]

OLDEST, NEWEST = (3, 11), (3, 15)
CAP_SYS_PTRACE = 19
"""The number of that right, in linux/capability.h."""

SCHEMA = 1
"""Version of the plain data that Examination.to_dict gives."""


class Finding(NamedTuple):
    """One sentence about one subject."""

    subject: str
    verdict: Literal["ok", "limit", "problem"]
    text: str


class Examination(NamedTuple):
    """All findings, and the tracer's own status where there is one."""

    version: str
    findings: tuple[Finding, ...]
    status: dict[str, Any]

    @property
    def works(self) -> bool:
        """Whether nothing is a problem."""
        return all(finding.verdict != "problem" for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for json."""
        return {
            "schema": SCHEMA,
            "memscope": self.version,
            "works": self.works,
            "findings": [finding._asdict() for finding in self.findings],
            "status": self.status,
        }

    def __str__(self) -> str:
        from textwrap import wrap

        lines = [f"memscope {self.version}"]
        subjects = max(len(finding.subject) for finding in self.findings)
        for subject, verdict, text in self.findings:
            head = f"{verdict:>7}  {subject:<{subjects}}  "
            first, *others = wrap(text, max(100 - len(head), 40))
            lines += [head + first, *(" " * len(head) + other for other in others)]
        return "\n".join(lines)


def examine(probe: bool = False) -> Examination:
    """Look at this interpreter and process.

    With *probe*, and if nothing is being traced, trace one allocation to see
    that it is recorded with the right line; this runs a full collection.
    """
    import memscope

    findings = [_interpreter()]
    status: dict[str, Any] = {}
    try:
        from memscope import _memscope as core
    except ImportError as error:
        findings.append(
            Finding("core", "problem", f"The C core cannot be loaded, so nothing works: {error}")
        )
        return Examination(memscope.__version__, tuple(findings), status)
    findings.append(Finding("core", "ok", f"{core.__file__}."))
    if probe and not core.is_tracing():
        finding, status = _probe()
        findings.append(finding)
    else:
        status = core.status()
        text = f"On: {status['traces']:,} blocks." if status["tracing"] else "Off."
        findings.append(Finding("tracing", "ok", text))
    findings += _tracer(status)
    findings.append(_split(core))
    findings += _process()
    findings += [_run(), _attach(), _pictures()]
    return Examination(memscope.__version__, tuple(findings), status)


def _interpreter() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()} on {sys.platform}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        text = f"{found}: free-threaded builds are not supported."
        return Finding("interpreter", "problem", text)
    if sys.implementation.name != "cpython" or not OLDEST <= sys.version_info[:2] <= NEWEST:
        supported = "CPython {}.{} to {}.{}".format(*OLDEST, *NEWEST)
        return Finding("interpreter", "problem", f"{found}: only {supported} are supported.")
    return Finding("interpreter", "ok", f"{found}.")


def _probe() -> tuple[Finding, dict[str, Any]]:
    """Trace one allocation; also the tracer's status at that moment, with its hooks in place."""
    from memscope import _memscope as core

    try:
        core.start()
    except (RuntimeError, MemoryError) as error:
        return Finding("tracing", "problem", f"It does not start: {error}."), core.status()
    try:
        block = bytearray(1 << 20)
        lineno = sys._getframe().f_lineno - 1
        found = core.get_object_traceback(block)
        traced, _ = core.get_traced_memory()
        status = core.status()
    finally:
        core.stop()
    frame = found[0][0] if found else None
    if frame is None or traced < len(block):
        finding = Finding("tracing", "problem", "An allocation was not recorded.")
    elif frame != (_probe.__code__.co_filename, lineno):
        text = "An allocation was charged to {}:{}.".format(*frame)
        finding = Finding("tracing", "problem", text)
    else:
        finding = Finding("tracing", "ok", "Allocations are recorded with the right line.")
    return finding, status


def _tracer(status: dict[str, Any]) -> Iterator[Finding]:
    """What the tracer says of itself."""
    if status["frames"]:
        yield Finding("tracebacks", "problem", f"Frames cannot be read: {status['frames']}")
    if status["tracing"]:
        states = status["hooks"]
        displaced = [domain for domain, state in states.items() if state.startswith("displaced")]
        below = [domain for domain, state in states.items() if "below" in state]
        if displaced:
            yield Finding(
                "hooks",
                "problem",
                f"Another tool replaced the hooks of {', '.join(displaced)}: what is allocated"
                " there is not seen. Start memscope after that tool.",
            )
        elif below:
            text = f"Another tool's hooks are above ours in {', '.join(below)}; both work."
            yield Finding("hooks", "ok", text)
        else:
            yield Finding("hooks", "ok", "In place in all allocator domains.")
    if status["lost"]:
        text = f"{status['lost']:,} blocks could not be recorded for want of memory."
        yield Finding("lost", "limit", text)
    yield _reported_blocks(status["track"])
    yield _free_lists(status["ref_tracer"])


def _reported_blocks(track: dict[str, Any]) -> Finding:
    subject = "extensions"
    if not track["supported"]:
        text = "Blocks that extensions report, such as numpy's arrays, are not seen:"
        return Finding(subject, "limit", f"{text} {track['reason']}")
    if track["missed"]:
        text = f"{track['missed']} calls by which extensions report blocks could not be redirected."
        return Finding(subject, "limit", f"{text} Some arrays may be missing.")
    return Finding(
        subject, "ok", "Blocks that extensions report, such as numpy's arrays, are seen."
    )


def _free_lists(state: str) -> Finding:
    subject = "free lists"
    if state == "on":
        return Finding(subject, "ok", "Objects made from free lists are charged to their new line.")
    remedies = {
        "off": "start(reuse=True) charges it to the new one, at the cost of a call per object",
        "taken by another tool": "another tool, often tracemalloc, has the reference tracer",
    }
    text = "An object made from a free list is charged to the line of its block's first owner"
    more = "Starting to trace empties the lists."
    return Finding(subject, "limit", f"{text} ({remedies.get(state, state)}). {more}")


def _split(core: Any) -> Finding:
    """Whether the memory of the process can be divided (memscope.process)."""
    subject = "process memory"
    arenas, libc = core.pymalloc_memory(), core.libc_memory()
    told = (("pymalloc's arenas", arenas), ("the C library's malloc", libc))
    whys = [f"of {whose}, {why}" for whose, why in told if isinstance(why, str)]
    if not os.path.exists("/proc/self/status"):
        whys.append("of what is resident, this platform is not asked")
    if whys:
        return Finding(subject, "limit", f"Some of it is not known: {'; '.join(whys)}.")
    return Finding(subject, "ok", "Python's, pymalloc's and the C library's parts are known.")


def _process() -> Iterator[Finding]:
    """What else in this process matters."""
    jit = getattr(sys, "_jit", None)
    if jit is not None and jit.is_enabled():
        text = "The JIT is on: in compiled loops an allocation may be charged to a line nearby."
        yield Finding("lines", "limit", text)
    tracemalloc = sys.modules.get("_tracemalloc")
    if tracemalloc is not None and tracemalloc.is_tracing():
        text = "tracemalloc is tracing too; both work, at the cost of both."
        yield Finding("tracemalloc", "limit", text)
    if allocator := os.environ.get("PYTHONMALLOC"):
        yield Finding("allocator", "ok", f"PYTHONMALLOC={allocator}")
    if not sys.platform.startswith("linux"):
        yield Finding("platform", "limit", "Only Linux has been tested.")


def _run() -> Finding:
    """Whether programs can be run under ``memscope run``."""
    flags = sys.flags
    given = {"-I": flags.isolated, "-E": flags.ignore_environment, "-S": flags.no_site}
    if names := [name for name, is_set in given.items() if is_set]:
        text = f"memscope run does not work with the interpreter's option {' or '.join(names)}."
        return Finding("run", "limit", text)
    if not sys.executable:
        return Finding("run", "limit", "This interpreter does not know its own file.")
    return Finding("run", "ok", "Programs can be watched from their start.")


def _attach() -> Finding:
    """Whether running processes can be watched, and this one."""
    subject = "attach"
    if not hasattr(sys, "remote_exec"):
        built = sys.version_info >= (3, 14)
        why = "this one was built without it" if built else "CPython 3.14 and later have it"
        text = f"Running processes cannot be watched: that takes sys.remote_exec; {why}."
        return Finding(subject, "limit", text)
    if not getattr(sys, "is_remote_debug_enabled", lambda: True)():
        text = (
            "Other processes can be watched; this one cannot: it was started with"
            " PYTHON_DISABLE_REMOTE_DEBUG or -X disable-remote-debug."
        )
        return Finding(subject, "limit", text)
    if reason := _tracing_forbidden():
        return Finding(subject, "limit", reason)
    return Finding(subject, "ok", "Running processes can be watched.")


def _tracing_forbidden() -> str:
    """Why the system does not let this process trace others of the same user; "" if it does."""
    try:
        with open("/proc/sys/kernel/yama/ptrace_scope") as file:
            scope = int(file.read())
        with open("/proc/self/status") as file:
            [rights] = [line.split()[1] for line in file if line.startswith("CapEff:")]
    except (OSError, ValueError):
        return ""  # a system without these rules
    is_privileged = int(rights, 16) >> CAP_SYS_PTRACE & 1
    if scope == 0 or (is_privileged and scope < 3):
        return ""
    remedy = "be root or have CAP_SYS_PTRACE" if scope < 3 else "only a restart changes that"
    return (
        f"Running processes cannot be watched: kernel.yama.ptrace_scope is {scope}, which forbids"
        f" to trace processes that are not one's own children; {remedy}."
    )


def _pictures() -> Finding:
    from memscope import dot

    if dot.is_here():
        return Finding("pictures", "ok", "Graphviz is here: pictures as SVG, PNG and PDF.")
    text = f"No pictures but DOT, Mermaid and text: Graphviz is not here; {dot.HOW_TO_GET_ONE}."
    return Finding("pictures", "limit", text)
