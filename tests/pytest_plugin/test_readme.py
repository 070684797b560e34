"""The failing test that README.md shows prints what it says."""

from __future__ import annotations

import re
from typing import Any

from tests.conftest import ROOT

TEXT = (ROOT / "README.md").read_text()
MASKS = (
    (r"^(platform|rootdir|plugins|asyncio|cachedir).*\n", ""),
    (r"[\d.]+ s\b|in [\d.]+s", "TIME"),
    (r"\d+ runs\)", "RUNS)"),
    (r"=+|_{3,}| +$", ""),
    (r"[\d.]+ KiB", "SIZE"),
    (r"'ann-\d+'", "KEY"),
    (r" - leaks.*", ""),  # as long as the terminal is wide
)


def masked(text: str) -> list[str]:
    for pattern, other in MASKS:
        text = re.sub(pattern, other, text, flags=re.MULTILINE)
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_it_prints_what_the_readme_shows(inner: Any) -> None:
    program = re.search(r"```python\n(# test_shop\.py\n.*?)```", TEXT, re.DOTALL)
    shown = re.search(r"```text\n\$ pytest --memscope test_shop\.py\n(.*?)```", TEXT, re.DOTALL)
    assert program is not None
    assert shown is not None
    inner.write(program[1], "test_shop.py")
    found = inner.run("--memscope", "test_shop.py")
    assert found.ret == 1
    assert masked("\n".join(found.outlines)) == masked(shown[1])
