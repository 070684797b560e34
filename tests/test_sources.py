"""Source files: whose, of which module and package, and what a line says."""

from __future__ import annotations

import importlib.metadata
import json
import linecache
import os
import sys
from pathlib import Path

import hypothesis
import pytest

from memscope.sources import Sources, source_line

SITE = "/opt/venv/lib/python3.12/site-packages"


@pytest.mark.parametrize(
    ("filename", "mine", "module"),
    [
        (json.__file__, False, "json"),
        (json.decoder.__file__, False, "json.decoder"),
        (f"{SITE}/flask/app.py", False, "flask.app"),
        (f"{SITE}/flask/__init__.py", False, "flask"),
        (f"{SITE}/six.py", False, "six"),
        (f"{SITE}/numpy/core/_multiarray.cpython-312-x86_64-linux-gnu.so", False,
         "numpy.core._multiarray"),
        ("/usr/lib/python3/dist-packages/apt/cache.py", False, "apt.cache"),
        (r"C:\Python312\Lib\site-packages\flask\app.py", False, "flask.app"),
        (r"C:\Python312\Lib\json\decoder.py", False, "json.decoder"),
        ("/somewhere/else/lib/python3.14/asyncio/tasks.py", False, "asyncio.tasks"),
        ("/opt/x/lib/python312.zip/os.py", False, "os"),
        ("<frozen importlib._bootstrap>", False, "importlib._bootstrap"),
        ("<unknown>", False, "<unknown>"),
        ("<string>", True, "<string>"),
        ("<ipython-input-1-abc>", True, "<ipython-input-1-abc>"),
        ("/srv/nowhere/app.py", True, "app"),
        (r"D:\work\app.py", True, "app"),
        ("relative/app.py", True, "relative.app"),
        ("/srv/page.html", True, "page.html"),
        ("", True, ""),
    ],
)  # fmt: skip
def test_owner_and_module(filename: str, mine: bool, module: str) -> None:
    sources = Sources()
    assert sources.is_mine(filename) is mine
    assert sources.module(filename) == module


def test_memscope_itself_is_not_the_users_code() -> None:
    import memscope.tracing

    sources = Sources()
    assert not sources.is_mine(memscope.tracing.__file__)
    assert sources.module(memscope.tracing.__file__) == "memscope.tracing"
    assert sources.module(memscope.__file__) == "memscope"


def test_module_is_counted_from_the_innermost_search_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "src"), *sys.path])
    sources = Sources()
    assert sources.module(str(tmp_path / "src" / "shop" / "cart.py")) == "shop.cart"
    assert sources.module(str(tmp_path / "tools" / "__init__.py")) == "tools"
    assert sources.package(str(tmp_path / "src" / "shop" / "cart.py")) == "shop"


def test_a_search_path_that_looks_like_a_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/home/me/lib/python3.11", "/x/lib/python399.zip"])
    sources = Sources()
    assert not sources.is_mine("/home/you/lib/python3.11/os.py")
    assert not sources.is_mine("/x/lib/python399.zip/os.py")
    assert sources.is_mine("/home/me/lib/python3.11/app.py")
    assert not sources.is_mine("/home/me/lib/python3.11/site-packages/six.py")


def test_packages() -> None:
    sources = Sources()
    assert sources.package(json.__file__) == "stdlib"
    assert sources.package("<frozen os>") == "stdlib"
    assert sources.package(hypothesis.__file__) == "hypothesis"
    assert sources.package(pytest.__file__) == "pytest"
    assert sources.package("<string>") == "<other>"
    assert sources.package("<unknown>") == "<unknown>"
    assert sources.package(f"{SITE}/nobody_has_this/x.py") == "nobody_has_this"
    assert sources.package("/srv/nowhere/app.py") == "app"
    for top, names in importlib.metadata.packages_distributions().items():
        # The metadata of some name a folder of data as if it could be imported.
        if (
            top.isidentifier()
            and len(set(names)) == 1
            and (Path(pytest.__file__).parents[1] / top).is_dir()
        ):
            where = f"{SITE}/{top}/__init__.py"
            assert sources.package(where) == names[0]


def write_distribution(site: Path, name: str, files: list[str]) -> None:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{file},,\n" for file in [*files, f"{info.name}/METADATA"]]
    (info / "RECORD").write_text("".join(lines))
    for file in files:
        (site / file).parent.mkdir(parents=True, exist_ok=True)
        (site / file).write_text("")


def test_namespace_packages_and_editable_installs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site = tmp_path / "site-packages"
    write_distribution(site, "acme-one", ["acme/one.py"])
    write_distribution(site, "acme-two", ["acme/two/__init__.py"])
    write_distribution(site, "in-place", ["_in_place.pth"])
    (site / "in_place-1.0.dist-info" / "top_level.txt").write_text("workshop\n")
    write_distribution(site, "has-tests", ["tests/__init__.py"])
    project = tmp_path / "project"
    monkeypatch.setattr(sys, "path", [str(project), str(site)])
    sources = Sources()
    assert sources.package(f"{site}/acme/one.py") == "acme-one"
    assert sources.package(f"{site}/acme/two/__init__.py") == "acme-two"
    assert sources.package(f"{project}/workshop/a.py") == "in-place"
    assert sources.package(f"{site}/tests/__init__.py") == "has-tests"
    assert sources.package(f"{project}/tests/test_a.py") == "tests"
    assert sources.is_mine(f"{project}/workshop/a.py")


def test_broken_metadata_is_nobodys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    write_distribution(site, "nameless", ["nameless.py", "shared/a.py"])
    write_distribution(site, "also-nameless", ["shared/b.py"])
    for metadata in site.glob("*/METADATA"):
        metadata.write_bytes(b"\xff\xfe: what is this\n")
    monkeypatch.setattr(sys, "path", [str(site)])
    sources = Sources()
    assert sources.package(f"{site}/nameless.py") == "nameless"
    assert sources.package(f"{site}/shared/a.py") == "shared"


def test_short_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    sources = Sources()
    here = os.getcwd()
    assert sources.shown(f"{here}/app/views.py") == "app/views.py"
    assert sources.shown(f"{SITE}/flask/app.py") == "site-packages/flask/app.py"
    stdlib = Path(os.__file__).parent.name
    assert sources.shown(json.decoder.__file__) == f"{stdlib}/json/decoder.py"
    assert sources.shown("/home/somebody/x.py") == "~/x.py"
    assert sources.shown("/srv/x.py") == "/srv/x.py"
    assert sources.shown("<string>") == "<string>"
    assert sources.shown("/a/lib/python3.13/os.py") == "python3.13/os.py"


def test_no_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    monkeypatch.setattr(sys, "path", ["", Path("/srv"), b"/srv", "/srv/lib", *sys.path])
    sources = Sources()
    assert sources.module("/srv/lib/shop/cart.py") == "shop.cart"
    assert sources.shown("/srv/lib/shop/cart.py") == "/srv/lib/shop/cart.py"
    assert sources.module("/opt/elsewhere/app.py") == "app"


def test_source_line(tmp_path: Path) -> None:
    path = tmp_path / "some.py"
    path.write_text("# coding: latin-1\n\tx = 'é'  \nlast", encoding="latin-1")
    before = dict(linecache.cache)
    assert source_line(str(path), 2) == "x = 'é'"
    assert source_line(str(path), 3) == "last"
    assert source_line(str(path), 4) == ""
    assert source_line(str(path), 0) == ""
    assert source_line(str(path), -1) == ""
    assert source_line(str(tmp_path / "missing.py"), 1) == ""
    assert source_line("<string>", 1) == ""
    assert linecache.cache == before


def test_source_line_of_a_notebook_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = (10, None, ["first\n", "  second\n"], "<cell 1>")
    monkeypatch.setitem(linecache.cache, "<cell 1>", entry)
    assert source_line("<cell 1>", 2) == "second"
    assert source_line("<cell 1>", 3) == ""


def test_source_line_reads_python_sources_only(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret\n")
    assert source_line(str(tmp_path / "secret.txt"), 1) == ""
    (tmp_path / "broken.py").write_bytes(b"# coding: no-such-coding\n")
    assert source_line(str(tmp_path / "broken.py"), 1) == ""
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00\n")
    assert source_line(str(tmp_path / "binary.py"), 1) == ""
    os.mkfifo(tmp_path / "pipe.py")
    assert source_line(str(tmp_path / "pipe.py"), 1) == ""
    assert source_line("nul\0.py", 1) == ""
    (tmp_path / "folder.py").mkdir()
    assert source_line(str(tmp_path / "folder.py"), 1) == ""
