"""Build and load the test-only extensions for the running interpreter.

    python tests/ext/build.py [DIRECTORY]     builds all of them, prints the directory

The default directory is below build/ in the source tree (below the system's
temporary directory if that cannot be written) and is named after the
interpreter, its flags and the text of the sources, so a build is made once and
is never stale.  Needs a C compiler and the interpreter's headers: BuildError
says which command failed and what it printed.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.machinery
import importlib.util
import os
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent

# name: (source, flags).  The testtrack modules differ in the relocation that
# their calls of PyTraceMalloc_Track leave behind.
MODULES: dict[str, tuple[str, list[str]]] = {
    "_memscope_testext": ("_memscope_testext.c", []),
    "_memscope_testtrack_lazy": (
        "_memscope_testtrack.c",
        ["-fplt", "-Wl,-z,lazy", "-Wl,-z,norelro"],
    ),
    "_memscope_testtrack_now": ("_memscope_testtrack.c", ["-fplt", "-Wl,-z,relro", "-Wl,-z,now"]),
    "_memscope_testtrack_noplt": (
        "_memscope_testtrack.c",
        ["-fno-plt", "-Wl,-z,relro", "-Wl,-z,now"],
    ),
    "_memscope_testtrack_pointer": ("_memscope_testtrack.c", ["-DTHROUGH_POINTER"]),
}


class BuildError(RuntimeError):
    """The extension could not be built; the text says why."""


def compiler() -> list[str]:
    """The compiler command: $CC, else the one that built the interpreter, else cc."""
    configured = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    command = shlex.split(str(configured))
    try:
        subprocess.run([command[0], "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ["cc"]
    return command


def includes() -> list[str]:
    paths = {sysconfig.get_path("include"), sysconfig.get_path("platinclude")}
    return [f"-I{path}" for path in sorted(paths)]


def compile_command(*arguments: str) -> None:
    command = [*compiler(), "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"]
    command += [*includes(), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise BuildError(f"{shlex.join(command)}: {error}") from None
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}".rstrip())


def default_directory() -> Path:
    digest = hashlib.sha256()
    for path in sorted(HERE.iterdir()):
        if path.suffix in {".c", ".py"}:
            digest.update(path.read_bytes())
    digest.update(f"{sys.version} {sys.base_prefix}".encode())
    name = f"{sysconfig.get_config_var('SOABI')}-{digest.hexdigest()[:12]}"
    root = HERE.parent.parent / "build" / "testext"
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        root = Path(tempfile.gettempdir()) / f"memscope-testext-{os.getuid()}"
    return root / name


def build(name: str = "_memscope_testext", directory: Path | None = None) -> Path:
    """Path of the shared object, compiled first if it is not there.

    Safe to call from several processes at once.
    """
    directory = directory or default_directory()
    target = directory / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not target.exists():
        source, flags = MODULES[name]
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / f".{name}.{os.getpid()}"
        compile_command(
            "-shared",
            "-fPIC",
            f"-DMODULE_NAME={name}",
            *flags,
            str(HERE / source),
            "-o",
            str(partial),
        )
        partial.replace(target)
    return target


def build_embed(directory: Path | None = None) -> Path:
    """Path of the program of embed.c.  BuildError where libpython cannot be linked."""
    directory = directory or default_directory()
    target = directory / "embed"
    if not target.exists():
        version = sysconfig.get_config_var("LDVERSION")
        library = sysconfig.get_config_var("LIBDIR") or ""
        multiarch = sysconfig.get_config_var("LIBPL") or ""
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / f".embed.{os.getpid()}"
        libraries = shlex.split(
            f"{sysconfig.get_config_var('LIBS') or ''} {sysconfig.get_config_var('SYSLIBS') or ''}"
        )
        paths = [path for path in (library, multiarch) if path]
        compile_command(
            str(HERE / "embed.c"),
            *(f"-L{path}" for path in paths),
            *(f"-Wl,-rpath,{path}" for path in paths),
            "-rdynamic",
            f"-lpython{version}",
            *libraries,
            "-o",
            str(partial),
        )
        partial.replace(target)
    return target


@functools.cache
def load(name: str = "_memscope_testext") -> ModuleType:
    """The extension module, built if need be."""
    path = build(name)
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    sys.modules[name] = module
    return module


def main() -> None:
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else default_directory()
    for name in MODULES:
        build(name, directory)
    print(directory)


if __name__ == "__main__":
    main()
