"""Every upload is kept as it came in, "to retry when the virus scanner was down".

The scanner has a queue of its own since it moved.  Nothing takes the bodies out again.
"""

from __future__ import annotations

import itertools

from examples.leaks._expected import Expected

_to_retry: list[bytes] = []
_uploads = itertools.count(1)


def read_body(number: int) -> bytes:
    return b"%PDF-1.7\n" + number.to_bytes(4, "big") * 500  # leaks


def scan(body: bytes) -> bool:
    return body.startswith(b"%PDF")


def upload(number: int, *, keep: bool = True) -> bool:
    body = read_body(number)
    clean = scan(body)
    if keep:
        _to_retry.append(body)
    return clean


def work() -> None:
    for number in itertools.islice(_uploads, 60):
        upload(number)


def work_fixed() -> None:
    for number in itertools.islice(_uploads, 60):
        upload(number, keep=not upload(number, keep=False))


def leaked() -> int:
    return len(_to_retry)


EXPECTED = Expected(
    type="bytes",
    kind="growing-container",
    holder="module examples.leaks.raw_uploads -> _to_retry",
    per_round=60,
)
