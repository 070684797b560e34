"""The layers hold: arrows point down, plain C stays plain, and the tour names every file."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path, PurePosixPath

import pytest

import memscope

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "src" / "_memscope"
PACKAGE = ROOT / "memscope"

# Who may include whom, within the core.  A folder always sees itself.
MAY_INCLUDE = {
    "module": {"bind", "file", "trace", "heap", "base"},
    "bind": {"file", "trace", "heap", "base"},
    "file": {"trace", "heap", "base"},
    "trace": {"base"},
    "heap": {"base"},
    "base": set(),
}

# What file/ reads of trace/ and heap/: data that is frozen or append-only, never what is live.
FILE_SEES = {
    *("trace/snapshot.h", "trace/summary.h", "trace/tracebacks.h"),
    *("heap/graph.h", "heap/labels.h", "heap/sites.h"),
}

# The files that may know Python.  All others compile, fuzz and run without an interpreter.
KNOWS_PYTHON = {
    "module.c",
    "bind/*",
    "base/frame_layout.h",
    "base/object_layout.h",
    "base/pycompat.h",
    "heap/enumerate.*",
    "heap/lengths.*",
    "heap/sizes.*",
    "heap/stacks.*",
    "heap/visit.*",
    "heap/walk.*",
    "trace/fast.*",
    "trace/frames.*",
    "trace/hooks.*",
    "trace/reftracer.*",
    "trace/tracer.*",
}

# The package, lowest first: a module imports only from rows above its own.  The two
# faces of a snapshot, native and drop-in, do not know each other.
ROWS = [
    {"_memscope"},
    {"caches", "files", "naming", "sources", "table", "traces"},
    {"dot", "filters", "pickles", "report"},
    {"page_drawings", "page_style", "process"},
    {"leak_page"},
    {"picture_nodes"},
    {"picture_dot", "picture_text"},
    {"pictures"},
    {"statistics"},
    {"grouping"},
    {"snapshot"},
    {"objgraph", "tracing", "tracemalloc"},
    {"heap_report"},
    {"heap_nodes", "heap_rows"},
    {"heap_drawing", "heap_retained"},
    {"heap_pictures"},
    {"heap_paths"},
    {"heap"},
    {"leak_text"},
    {"leak_report"},
    {"noise", "piles", "why"},
    {"verdicts"},
    {"leak_analysis"},
    {"leaks"},
    {"testing"},
    {"__init__"},
    {"doctor", "helper"},
    {"agent", "session"},
    {"startup/__init__", "startup/sitecustomize"},
    {"cli/output"},
    {"cli/saved"},
    {"cli/run", "cli/stats", "cli/why"},
    {"cli/attach", "cli/diff", "cli/doctor", "cli/refs", "cli/report", "cli/types"},
    {"cli/__init__"},
    {"__main__"},
    {
        *("pytest_plugin/containers", "pytest_plugin/names", "pytest_plugin/outcome"),
        "pytest_plugin/screening",
    },
    {"pytest_plugin/repeats", "pytest_plugin/settings", "pytest_plugin/trial"},
    {
        *("pytest_plugin/known", "pytest_plugin/limits", "pytest_plugin/reports"),
        "pytest_plugin/signs",
    },
    {"pytest_plugin/judge", "pytest_plugin/summary", "pytest_plugin/tracker"},
    {"pytest_plugin/__init__"},
    {
        *("web/__init__", "web/asked", "web/assets", "web/attempts", "web/births"),
        *("web/handles", "web/http", "web/jobs", "web/kept", "web/markup", "web/settings"),
        *("web/timeline", "web/trend"),
    },
    {"web/context", "web/drawings", "web/origin", "web/redaction", "web/routes", "web/shelf"},
    {"web/access", "web/investigation", "web/page_parts", "web/recorder", "web/view_types"},
    {"web/suspicions", "web/view_allocations", "web/view_leaks"},
    {"web/page_allocations", "web/page_leaks", "web/page_types", "web/view_routes"},
    {"web/page_overview", "web/page_routes", "web/views"},
    {"web/pages"},
    {"web/dashboard"},
    {"web/engine"},
    {"asgi", "wsgi"},
    {"flask"},
    {"django/options"},
    {"django/service"},
    {"django/urls"},
    {"django/middleware"},
    {"django/__init__", "django/checks", "django/panels"},
    {"django/apps", "django/management/__init__", "django/management/commands/__init__"},
    {"django/management/commands/memscope"},
]

C_FILES = sorted(path.relative_to(CORE).as_posix() for path in CORE.rglob("*.[ch]"))
PY_FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)


def includes(file: str) -> tuple[set[str], set[str]]:
    """(files of the core, system headers) that a file of the core includes."""
    own, system = set(), set()
    for bracket, name in INCLUDE.findall((CORE / file).read_text()):
        (own if bracket == '"' else system).add(name)
    return own, system


def layer(file: str) -> str:
    return "module" if file == "module.c" else file.partition("/")[0]


def knows_python(file: str) -> bool:
    return any(PurePosixPath(file).match(pattern) for pattern in KNOWS_PYTHON)


def test_every_file_is_in_a_layer() -> None:
    assert {layer(file) for file in C_FILES} <= set(MAY_INCLUDE)


@pytest.mark.parametrize("file", C_FILES)
def test_includes_point_down(file: str) -> None:
    own, _ = includes(file)
    assert own <= set(C_FILES), "an include is written from src/_memscope on, as layer/name.h"
    above = {
        target
        for target in own
        if layer(target) != layer(file) and layer(target) not in MAY_INCLUDE[layer(file)]
    }
    assert not above
    if layer(file) == "file":
        assert {target for target in own if layer(target) in ("trace", "heap")} <= FILE_SEES


@pytest.mark.parametrize("file", [file for file in C_FILES if file.endswith(".c")])
def test_own_header_comes_first(file: str) -> None:
    header = file.removesuffix(".c") + ".h"
    if header in C_FILES:
        first = INCLUDE.search((CORE / file).read_text())
        assert first is not None
        assert first.group(2) == header


@pytest.mark.parametrize("file", [file for file in C_FILES if not knows_python(file)])
def test_plain_c_is_free_of_python(file: str) -> None:
    own, system = includes(file)
    assert "Python.h" not in system | own
    assert not {target for target in own if knows_python(target)}


@pytest.mark.parametrize("file", [file for file in C_FILES if not knows_python(file)])
def test_plain_c_compiles_alone(file: str) -> None:
    """Also as the only include of a file: a header includes what it uses."""
    compiler = shutil.which("cc")
    assert compiler is not None
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    subprocess.run(
        [compiler, *flags, "-fsyntax-only", f"-I{CORE}", "-x", "c", "-"],
        input=f'#include "{file}"\n',
        text=True,
        check=True,
    )


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imported(tree: ast.AST) -> set[str]:
    """Dotted names imported anywhere in the tree, except for type checkers alone."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif is_type_checking(node):
            assert isinstance(node, ast.If)
            found |= {name for child in node.orelse for name in imported(child)}
        else:
            found |= imported(node)
    return found


def own_imports(file: str) -> set[str]:
    """The modules of the package that a module of it imports."""
    known = set().union(*ROWS)
    names = [name.split(".") for name in imported(ast.parse((PACKAGE / file).read_text()))]
    found = set()
    for first, *others in names:
        if first == "memscope":
            # memscope.cli.output.say is a name in cli/output; memscope.Snapshot, one in __init__.
            paths = ("/".join(others[:length]) for length in range(len(others), 0, -1))
            candidates = [name for path in paths for name in (path, f"{path}/__init__")]
            found.add(next((name for name in candidates if name in known), "__init__"))
    return found


def test_every_module_is_in_a_row() -> None:
    assert {file.removesuffix(".py") for file in PY_FILES} | {"_memscope"} == set().union(*ROWS)


def test_no_name_of_the_package_is_also_a_module_of_it() -> None:
    """Importing the module anywhere would put it in the name's place."""
    modules = {file.removesuffix(".py") for file in PY_FILES}
    shared = modules & set(memscope.__all__)
    assert all(isinstance(getattr(memscope, name), types.ModuleType) for name in shared)


@pytest.mark.parametrize("file", PY_FILES)
def test_imports_point_down(file: str) -> None:
    row = next(index for index, row in enumerate(ROWS) if file.removesuffix(".py") in row)
    assert own_imports(file) <= set().union(*ROWS[:row])


@pytest.mark.parametrize("file", PY_FILES)
def test_no_third_party_import(file: str) -> None:
    """Not even a lazy one: nothing is imported into somebody's troubled process."""
    roots = {name.partition(".")[0] for name in imported(ast.parse((PACKAGE / file).read_text()))}
    # The machine's own start-up module, if it has one, is what ours stands before.
    allowed = {"memscope", "sitecustomize"}
    # Which import it.
    if file.startswith("pytest_plugin/"):
        allowed |= {"pytest", "_pytest"}
    if file == "flask.py":
        allowed |= {"flask"}
    if file.startswith("django/"):
        allowed |= {"django", "asgiref"}
    if file == "django/panels.py":
        allowed |= {"debug_toolbar"}
    assert roots <= {*sys.stdlib_module_names, *allowed}


def test_the_tour_names_every_file() -> None:
    tour = (ROOT / "ARCHITECTURE.md").read_text()
    stems = {PurePosixPath(file).with_suffix("").name for file in (*C_FILES, *PY_FILES)}
    assert {stem for stem in stems if not re.search(rf"\b{re.escape(stem)}\b", tour)} == set()
