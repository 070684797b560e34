"""Every rejected file stays in memory as a whole, because its exception is kept for the report.

The message would be a line.  The exception has a traceback, the traceback has frames, and
the frames have the variables: the document, its rows, everything.
"""

from __future__ import annotations

import itertools

from examples.leaks._expected import Expected


class RejectedError(Exception):
    pass


_failures: list[RejectedError] = []
_messages: list[str] = []
_files = itertools.count(1)


def import_rows(number: int) -> int:
    document = f"{number};kettle;9.99\n" * 100
    rows = [line.split(";") for line in document.splitlines()]
    if len(rows[-1]) != 4:
        raise RejectedError(f"file {number}: 4 columns expected")  # leaks
    return len(rows)


def receive(number: int, *, message_only: bool = False) -> None:
    try:
        import_rows(number)
    except RejectedError as error:
        if message_only:
            _messages.append(str(error))
        else:
            _failures.append(error)


def work() -> None:
    for number in itertools.islice(_files, 20):
        receive(number)


def work_fixed() -> None:
    """The report needs the message; it is mailed, and forgotten."""
    for number in itertools.islice(_files, 20):
        receive(number, message_only=True)
    assert len(_messages) == 20
    _messages.clear()


def leaked() -> int:
    return len(_failures)


EXPECTED = Expected(
    type=("RejectedError", "traceback", "frame"),
    kind="exception",
    holder="module examples.leaks.failed_imports -> _failures",
    per_round=20,
)
