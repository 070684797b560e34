"""What memscope says of the leaking programs, beside what is so.

    python -m examples.leaks [NAME...]

Each program runs in a process of its own.  With names, the whole reports are shown.
"""

from __future__ import annotations

import subprocess
import sys

from examples.corpus import SKIP, names


def main(wanted: list[str]) -> int:
    known = {name.partition(".")[2]: name for name in names("leaks") + names("not_leaks")}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        sys.exit(f"no such program: {', '.join(unknown)}; there are {', '.join(known)}")
    wrong = 0
    for name in wanted or known:
        command = [sys.executable, "-m", "examples.corpus", known[name]]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = done.stdout.splitlines() or [f"exit code {done.returncode}"]
        if done.returncode == 0:
            print(f"{known[name]:38} {lines[0]}")
        elif done.returncode == SKIP:
            print(f"{known[name]:38} skipped: {lines[0]}")
        else:
            wrong += 1
            print(f"{known[name]:38} WRONG: {lines[0]}")
        if wanted or done.returncode not in (0, SKIP):
            print(*(f"    {line}" for line in lines), sep="\n")
    print(f"{len(wanted or known) - wrong} right or skipped, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
