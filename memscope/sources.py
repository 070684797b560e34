"""Source files: whose they are, what module and package they belong to, what a line says.

All is told from the file's name, so that it also works for a snapshot that was
taken on another machine; what this process knows (sys.path, the metadata of
installed distributions) makes the answer better where it can.

Nothing here leaves lines behind in :mod:`linecache`: the next snapshot would
show them as growth.
"""

from __future__ import annotations

import linecache
import os
import re
import stat
import sys
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

__all__ = ["Sources", "source_line"]

Owner = Literal["stdlib", "site", "mine", "unknown"]

SITE_FOLDER = re.compile(r".*/((?:site|dist)-packages)/", re.DOTALL)
STDLIB_FOLDER = re.compile(
    r".*/(?:lib(?:32|64)?/(python3\.\d+t?)|(Python3\d+)/[Ll]ib|(python3\d+\.zip))/", re.DOTALL
)
STDLIB_ZIP = re.compile(r"/python3\d+\.zip$")
SOURCE_SUFFIXES = (".py", ".pyw", ".pyx")
MODULE_SUFFIXES = (*SOURCE_SUFFIXES, ".pyc", ".so", ".pyd")


class Place(NamedTuple):
    """Who owns a file, and its path from the folder it is imported from."""

    owner: Owner
    relative: str
    shown: str


class Sources:
    """Answers about file names, as this process sees them when the object is made.

    Cost: some microseconds per name; the first package asked for reads the
    metadata of every installed distribution, which takes tenths of a second.
    """

    def __init__(self) -> None:
        try:
            cwd = os.getcwd()
        except OSError:  # somebody removed it
            cwd = os.path.sep
        self._cwd = _slashes(cwd).rstrip("/")
        self._home = _slashes(os.path.expanduser("~")).rstrip("/")
        self._memscope = _slashes(os.path.dirname(__file__))
        stdlib = os.path.dirname(getattr(os, "__file__", "") or __file__)
        self._stdlib = {_slashes(stdlib), _slashes(os.path.realpath(stdlib))}
        path: list[object] = [*sys.path]  # people put all sorts of things there
        entries = [os.path.join(cwd, entry) for entry in path if isinstance(entry, str)]
        roots = {_slashes(os.path.normpath(entry)).rstrip("/") for entry in entries}
        # The root of the file system says nothing, and this zip is the standard library.
        roots = {root for root in roots if root and not STDLIB_ZIP.search(root)}
        self._roots = sorted(roots, key=len, reverse=True)

    def place(self, filename: str) -> Place:
        """Where *filename* belongs."""
        if filename.startswith("<") and filename.endswith(">"):
            if filename.startswith("<frozen "):
                return Place("stdlib", filename[8:-1], filename)
            owner: Owner = "unknown" if filename == "<unknown>" else "mine"
            return Place(owner, filename, filename)
        path = _slashes(filename)
        if found := SITE_FOLDER.match(path):
            return Place("site", path[found.end() :], path[found.start(1) :])
        if path.startswith(self._memscope + "/"):
            relative = path[len(self._memscope) - len("memscope") :]
            return Place("site", relative, relative)
        for root in self._stdlib:
            if path.startswith(root + "/"):
                return Place("stdlib", path[len(root) + 1 :], _from_parent(path, root))
        if not path.startswith("/") and not re.match("[A-Za-z]:/", path):
            return Place("mine", path, path)
        shown = path
        if self._cwd and path.startswith(self._cwd + "/"):
            shown = path[len(self._cwd) + 1 :]
        elif self._home and path.startswith(self._home + "/"):
            shown = "~" + path[len(self._home) :]
        for root in self._roots:
            if path.startswith(root + "/"):
                return Place("mine", path[len(root) + 1 :], shown)
        if found := STDLIB_FOLDER.match(path):
            return Place("stdlib", path[found.end() :], path[found.start(found.lastindex or 0) :])
        return Place("mine", path.rpartition("/")[2], shown)

    def module(self, filename: str) -> str:
        """The dotted name under which *filename* is imported, as far as its path tells."""
        relative = self.place(filename).relative
        if relative.startswith("<"):
            return relative
        stem, dot, suffix = relative.removeprefix("lib-dynload/").rpartition(".")
        if dot + suffix not in MODULE_SUFFIXES:
            stem = relative
        elif dot + suffix in (".so", ".pyd"):
            stem = stem.partition(".")[0]  # name.cpython-311-x86_64-linux-gnu.so
        return stem.removesuffix("/__init__").replace("/", ".")

    def package(self, filename: str) -> str:
        """The distribution *filename* was installed by.

        "stdlib" for Python's own; for the user's code the top-level module or
        package; "<other>" for code that has no file.
        """
        owner, relative, _ = self.place(filename)
        if owner == "stdlib":
            return "stdlib"
        if owner == "unknown":
            return filename
        if relative.startswith("<"):
            return "<other>"
        top = self.module(filename).partition(".")[0]
        names = _distributions(tuple(sys.path)).get(top, ())
        if owner == "mine":
            # Only a distribution installed in place (editable) owns code here.
            names = tuple(name for name in names if not _has_copy(name, top))
        if len(names) > 1:  # a namespace package: ask each for its files
            names = tuple(name for name in names if relative in _files(name)) or names
        return names[0] if names else top

    def is_mine(self, filename: str) -> bool:
        """Whether the user wrote it: not Python's, not installed, not memscope itself."""
        return self.place(filename).owner == "mine"

    def shown(self, filename: str) -> str:
        """A short path for a report: from the working folder, the home or site-packages on."""
        return self.place(filename).shown


def source_line(filename: str, lineno: int) -> str:
    """The text of a line, stripped; "" where it cannot be read.

    Lines that linecache already holds come from there (a notebook's cells are
    nowhere else).  Only Python sources are opened: the name may come from a
    snapshot that somebody sent, and a report is no way to read other files.
    """
    # "<string>" is the name of every string that was ever compiled; since 3.13 linecache
    # holds one of them, the -c argument.
    if lineno < 1 or filename == "<string>":
        return ""
    cached = linecache.cache.get(filename)
    if cached is not None and len(cached) == 4:
        return "".join(islice(cached[2], lineno - 1, lineno)).strip()
    if not filename.endswith(SOURCE_SUFFIXES):
        return ""
    from tokenize import open as open_source

    try:
        if not stat.S_ISREG(os.stat(filename).st_mode):
            return ""
        with open_source(filename) as file:
            return "".join(islice(file, lineno - 1, lineno)).strip()
    except (OSError, SyntaxError, ValueError):
        return ""


def _slashes(path: str) -> str:
    return path.replace("\\", "/")


def _from_parent(path: str, folder: str) -> str:
    return path[folder.rfind("/") + 1 :]


@lru_cache(maxsize=1)
def _distributions(search_path: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Top-level module -> the distributions that install it, for one value of sys.path.

    None at all if the metadata of any cannot be read: there is no telling in
    what way it is broken.
    """
    from importlib.metadata import packages_distributions

    try:
        found = packages_distributions()
    except Exception:
        return {}
    return {top: tuple(dict.fromkeys(filter(None, names))) for top, names in found.items()}


@lru_cache(maxsize=256)
def _files(distribution: str) -> frozenset[str]:
    from importlib.metadata import PackageNotFoundError, files

    try:
        return frozenset(map(str, files(distribution) or ()))
    except PackageNotFoundError:
        return frozenset()


@lru_cache(maxsize=256)
def _has_copy(distribution: str, top: str) -> bool:
    """Whether *distribution* put its own copy of *top* where installed code goes."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import distribution as find

    try:
        locate = find(distribution).locate_file
    except PackageNotFoundError:
        return False
    return any(os.path.exists(str(locate(name))) for name in (top, f"{top}.py"))
