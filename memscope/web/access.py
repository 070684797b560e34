"""Who may see the pages.  (Interface; being built.)"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memscope.web.http import Call
    from memscope.web.settings import Settings

__all__ = ["Access"]


class Access:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def allows(self, call: Call) -> bool:
        return False
