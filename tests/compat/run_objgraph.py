"""objgraph's own tests and doctests, run against memscope.objgraph.

    python tests/compat/run_objgraph.py [FOLDER]

FOLDER is an unpacked sdist of objgraph; without it, pip fetches one from the package
index into a temporary folder.  Nothing of it is kept.  Exit code 1 if a test fails that
is not among those left out below, 2 if there is no sdist to be had.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "3.7.0"

ALIAS = """\
import sys
import memscope.objgraph
sys.modules[__name__] = memscope.objgraph
"""

LEFT_OUT = {
    "doctest_setup_py_works": "runs objgraph's own setup.py, which reads the text of objgraph.py",
}

RUN = """\
import sys, unittest
import tests
left_out = sys.argv[1:]
def keep(suite):
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(keep(test))
        elif not any(name in test.id() for name in left_out):
            kept.addTest(test)
    return kept
result = unittest.TextTestRunner(verbosity=1).run(keep(tests.test_suite()))
for test, reason in result.skipped:
    print(f"skipped by objgraph itself: {test.id()}: {reason}")
failed = len(result.failures) + len(result.errors)
print(f"objgraph's tests: {result.testsRun} run, {failed} failed, {len(result.skipped)} skipped")
sys.exit(not result.wasSuccessful())
"""


def fetch(folder: Path) -> Path | None:
    """The unpacked sdist, or None and the reason on stderr."""
    command = [sys.executable, "-m", "pip", "-q", "download", f"objgraph=={VERSION}"]
    command += ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archives = list(folder.glob("objgraph-*.tar.gz"))
    if not archives:
        print(f"no sdist of objgraph {VERSION}:\n{done.stderr}", file=sys.stderr)
        return None
    with tarfile.open(archives[0]) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    return folder / f"objgraph-{VERSION}"


def run(source: Path) -> int:
    (source / "objgraph.py").write_text(ALIAS)
    package = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(source), str(package), os.environ.get("PYTHONPATH", "")])
    print(f"objgraph {VERSION} on {sys.version.split()[0]}", flush=True)
    for name, reason in LEFT_OUT.items():
        print(f"left out: {name}: {reason}", flush=True)
    return subprocess.run(
        [sys.executable, "-c", RUN, *LEFT_OUT],
        cwd=source,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        check=False,
    ).returncode


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        if arguments:
            source: Path | None = Path(temporary, "objgraph")
            assert source is not None
            import shutil

            shutil.copytree(arguments[0], source)
        else:
            source = fetch(Path(temporary))
        return 2 if source is None else run(source)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
