"""Where a page is served, and what its forms and links need."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from memscope.web.markup import Html, field, hidden, tag

__all__ = ["CSRF_FIELD", "Context"]

CSRF_FIELD = "csrf"
"""Field of a form that proves that it is one of ours."""


class Context(NamedTuple):
    """What a page must know beside its data."""

    root: str
    """Path that links begin with, without a slash at its end."""
    csrf: str = ""
    """What each form sends back."""
    worker: str = ""
    """The process, in words."""
    path: str = ""
    """Of the page, below the root."""
    query: str = ""

    def url(self, path: str, **query: str) -> str:
        """A page below the prefix."""
        chosen = {name: value for name, value in query.items() if value}
        asked = urlencode(chosen, errors="replace")
        return f"{self.root}/{path}{'?' if asked else ''}{asked}"

    def link(self, path: str, *children: str | int | None) -> Html:
        return tag("a", *children, href=self.url(path))

    def form(self, action: str, *children: str | int | None, label: str | None = None) -> Html:
        """A form that has something done."""
        return tag(
            "form",
            hidden(CSRF_FIELD, self.csrf),
            *children,
            method="post",
            action=self.url(f"do/{action}"),
            class_="action",
            aria_label=label,
        )

    def search(self, path: str, text: str, names: str, table: str, *fields: Html) -> Html:
        """A form that filters a table by what its names contain; a script does it at once."""
        return tag(
            "form",
            *fields,
            field(
                "q",
                f"Filter {names}",
                tag(
                    "input",
                    type="search",
                    id="q",
                    name="q",
                    value=text,
                    placeholder="part of the name",
                    autocomplete="off",
                    spellcheck="false",
                    maxlength=200,
                    data_filter=table,
                ),
            ),
            tag("button", "Filter", type="submit", class_="quiet-button"),
            method="get",
            action=self.url(path),
            class_="filter",
            role="search",
        )
