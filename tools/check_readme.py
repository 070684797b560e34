"""Run what README.md tells people to run.

Every ```python block runs in a process of its own; one that begins with a comment "# name.py"
is a file of that name to the commands after it.  Every command of a
```console block runs too, except for installing (tools/package.sh does that) and the
make targets that are stages of their own: of these it is checked that they exist.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def check(command: list[str] | str, folder: str) -> str | None:
    """None if it ran, else what it printed."""
    bin_folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": os.pathsep.join([bin_folder, os.environ["PATH"]])}
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return None if done.returncode == 0 else f"exit code {done.returncode}\n{done.stdout}"


def main() -> int:
    failures = ran = 0
    text = (ROOT / "README.md").read_text()
    with tempfile.TemporaryDirectory() as shared:
        for block in BLOCK.finditer(text):
            language, body = block.groups()
            line = text.count("\n", 0, block.start()) + 1
            steps: list[tuple[str, list[str] | str, str]] = []
            if language == "python":
                named = re.match(r"# (\w+\.py)\n", body)
                path = Path(shared, named[1] if named else f"line_{line}.py")
                path.write_text(body)
                steps.append(("python block", [sys.executable, str(path)], shared))
            elif language == "console":
                for command in re.findall(r"^\$ (.+)$", body, re.MULTILINE):
                    if target := re.match(r"make (\w+)", command):
                        steps.append((command, f"make -n {target[1]} >/dev/null", str(ROOT)))
                    elif not re.match(r"(sudo |git |cd |python\S* -m pip |pip )", command):
                        steps.append((command, command, shared))
            for name, command_line, folder in steps:
                ran += 1
                problem = check(command_line, folder)
                print(f"README.md:{line}: {name}: {'ok' if problem is None else 'FAILED'}")
                if problem is not None:
                    failures += 1
                    print(problem)
    print(f"{ran} commands and programs of README.md ran, {failures} failed")
    return 1 if failures or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
