"""Whole files in and out: written in one step or not at all, named in every complaint."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PathLike", "describing", "read", "write_whole"]

PathLike: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"


def read(filename: PathLike) -> bytes:
    """The bytes of *filename*.  Raises OSError."""
    with open(filename, "rb") as file:
        return file.read()


def write_whole(filename: PathLike, data: bytes, *, private: bool = False) -> None:
    """Make *filename* hold *data*; whatever goes wrong, it never holds a part of it.

    *private*: only its owner may read it.

    The data goes to a new file beside it, to the disk, and then by one rename to
    its place; a symbolic link keeps pointing to it.  What is not a regular
    file (a pipe, /dev/stdout) is written to directly.  Raises OSError.
    """
    target = os.path.realpath(os.fsdecode(filename))
    if os.path.exists(target) and not os.path.isfile(target):
        with open(filename, "wb") as file:
            file.write(data)
        return
    # Not from tempfile, whose modules would be imported while memory is traced
    # and be found in the next snapshot.
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "xb", opener=_open_private if private else None) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except FileExistsError:
        raise  # another writer's: not ours to remove
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def describing(filename: PathLike) -> Iterator[None]:
    """Turn what is raised inside about a file's content into a ValueError that names the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot load {os.fsdecode(filename)!r}: {error}") from error
