"""From a request to one of our pages to the answer.  (Interface; being built.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memscope.web.access import Access
from memscope.web.http import Answer, Call

if TYPE_CHECKING:
    from memscope.web.engine import Engine

__all__ = ["Dashboard"]


class Dashboard:
    def __init__(self, engine: Engine) -> None:
        self.access = Access(engine.settings)

    def answer(self, call: Call) -> Answer:
        return Answer(404, (("Content-Type", "text/plain"),), b"not found\n")
