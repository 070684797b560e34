"""Judge one program of the corpus, in this process:

    python -m examples.corpus leaks.audit_trail          is what memscope says right?
    python -m examples.corpus leaks.audit_trail --prove  does it leak at all?  (no memscope)

Programs of ``leaks`` must be reported as they say themselves (``EXPECTED``), and their repaired
halves not at all; programs of ``not_leaks`` must not be reported.  The exit code is 0 if all is
right, 1 with the differences if not, 77 with the reason where a program cannot run.
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from examples.leaks._expected import Expected

HERE = Path(__file__).resolve().parent
ROUNDS = 5
SKIP = 77


def names(folder: str) -> list[str]:
    """The programs of a folder: "leaks.audit_trail" and so on."""
    return sorted(f"{folder}.{path.stem}" for path in (HERE / folder).glob("[!_]*.py"))


def load(name: str) -> ModuleType:
    return importlib.import_module(f"examples.{name}")


# --- what is so: the program's own count, and the interpreter's


def resident() -> int:
    """Bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def rises(work: Callable[[], None], measure: Callable[[], int], rounds: int) -> list[int]:
    """By how much *measure* rises in each round, after two that warm up."""
    work()
    work()
    values = array("q", [measure()])  # in it, a number is no block of its own
    for _ in range(rounds):
        work()
        values.append(measure())
    return [after - before for before, after in pairwise(values)]


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def prove_bounded(program: ModuleType) -> Iterator[str]:
    """Of a program that only looks leaky: its size never exceeds its limit."""
    for number in range(4 * ROUNDS):
        program.work()
        if program.size() > program.LIMIT:
            yield f"{program.size()} in round {number}, and {program.LIMIT} is the limit"
            return


def prove(program: ModuleType) -> Iterator[str]:
    """What is wrong with the claim that ``work`` leaks and ``work_fixed`` does not.

    Counted twice, neither time by memscope: by the program's ``leaked()``, and in blocks of
    Python's allocators (in bytes of the process, where the leak is not in Python).
    """
    if not hasattr(program, "EXPECTED"):
        yield from prove_bounded(program)
        return
    expected: Expected = program.EXPECTED
    if expected.type:
        # What only the collector would free must be counted before it runs.
        uncollected = "uncollected-cycle" in expected.any_of("kind")
        measure = sys.getallocatedblocks if uncollected else blocks
        least, unit = expected.per_round, "blocks"
    else:
        measure, least, unit = resident, 2**20, "bytes in memory"

    counted = rises(program.work_fixed, program.leaked, ROUNDS)
    if sum(counted) > (0 if expected.exact else ROUNDS):
        yield f"repaired, it still rises: {counted}"
    repaired = rises(program.work_fixed, measure, ROUNDS)

    counted = rises(program.work, program.leaked, ROUNDS)
    wrong = [rise for rise in counted if rise != expected.per_round]
    if (wrong and expected.exact) or sum(counted) < expected.per_round * ROUNDS:
        yield f"it rises by {counted} in rounds, not by {expected.per_round} each"
    measured = rises(program.work, measure, ROUNDS)
    if sum(measured) < least * ROUNDS:
        yield f"{unit} rise only by {measured}"
    if sum(repaired) > sum(measured) / 5:  # caches of the interpreter go on filling for a while
        yield f"repaired, {unit} still rise: {repaired} (else {measured})"


# --- what memscope says


def fits(wanted: str, text: str) -> bool:
    """Whether the names of *wanted* are in the text, in their order."""
    position = 0
    for name in wanted.split(" -> "):
        position = text.find(name, position)
        if position < 0:
            return False
        position += len(name)
    return True


def marked_lines(program: ModuleType, mark: str) -> tuple[str, set[int]]:
    assert program.__file__ is not None
    lines = Path(program.__file__).read_text().splitlines()
    return program.__file__, {n for n, line in enumerate(lines, 1) if line.endswith(mark)}


def judge(program: ModuleType, report: Any) -> Iterator[str]:
    """In what the report differs from the right answer."""
    expected: Expected = program.EXPECTED
    if not report:
        yield "no leak reported"
        return
    leak = report.leaks[0]
    name = (leak.type_name or "").rpartition(".")[2]
    if expected.type and name not in expected.any_of("type"):
        yield f"type {leak.type_name}, not {expected.type}"
    if expected.line is not None:
        filename, lines = marked_lines(program, expected.line)
        place = leak.site[:2] if leak.site else None
        if place not in {(filename, line) for line in lines}:
            yield f"allocated at {place}, not at line {sorted(lines)} of {filename}"
    held = f"{leak.holder}\n{leak.path}"
    if expected.holder and not any(fits(holder, held) for holder in expected.any_of("holder")):
        yield f"held by {leak.holder or leak.path}, not by {expected.holder}"
    if leak.kind not in expected.any_of("kind"):
        yield f"kind {leak.kind}, not {expected.kind}"


def differences(name: str, program: ModuleType) -> tuple[list[str], Any]:
    """All that is wrong with what memscope says, and its report."""
    import memscope

    if name.startswith("not_leaks."):
        report: Any = memscope.diagnose(program.work, rounds=ROUNDS)
        return ["a leak is reported, and there is none"] if report else [], report
    repaired: Any = memscope.diagnose(program.work_fixed, rounds=ROUNDS)
    before = program.leaked()
    report = memscope.diagnose(program.work, rounds=ROUNDS)
    found = list(judge(program, report))
    if repaired:
        found.append(f"repaired, it is still reported:\n{repaired}")
    if program.leaked() - before < program.EXPECTED.per_round * ROUNDS:
        found.append("it did not leak")
    return found, report


def main() -> int:
    name = sys.argv[1]
    try:
        program = load(name)
    except ImportError as error:
        print(f"{name} needs a library that does not import here: {error}")
        return SKIP
    report: Any = None
    if "--prove" in sys.argv[2:]:
        found = list(prove(program))
    else:
        found, report = differences(name, program)
    if "--json" in sys.argv[2:]:
        print(json.dumps({"differences": found, "report": report and report.to_dict()}))
    else:
        print(*found, *([report] if report is not None else []), sep="\n")
    if hasattr(program, "close"):
        program.close()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
