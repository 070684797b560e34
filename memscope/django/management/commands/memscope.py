"""``manage.py memscope``: whether it is enabled, and how; and which path leaks.

manage.py memscope                          what is on, where the pages are, what is wrong
manage.py memscope check-route /orders/7/   ask for it again and again: what is left?
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from typing import Any

import django
from django.conf import settings as django_settings
from django.core.checks import ERROR
from django.core.management.base import BaseCommand, CommandError
from django.test import Client

from memscope.django import checks, options
from memscope.django.urls import is_mounted
from memscope.leaks import ROUNDS, WARM_UP, diagnose
from memscope.web.settings import NAMES, Settings, SettingsError

__all__ = ["Command"]

SCHEMA = 1
"""Version of the plain data of --json."""

EACH = 4
"""Requests of a round."""


class Command(BaseCommand):
    help = "Says whether memscope is enabled, and how; check-route: whether a path leaks."
    requires_system_checks = ()  # what is wrong is what it is asked for

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="as JSON instead of text")
        commands = parser.add_subparsers(dest="command", metavar="check-route")
        check = commands.add_parser(
            "check-route",
            help="ask for a path again and again, and report what that leaves behind",
            description=(
                "Asks this project for a path with the test client, in this process and with the"
                " project's own database; use a method that changes nothing.  Exit status: 0 if"
                " nothing leaks, 1 if something does, 2 if the path could not be asked for."
            ),
        )
        check.add_argument("path", help="with its query, like /orders/?page=2")
        check.add_argument("--rounds", type=_count, default=ROUNDS, help="default: %(default)s")
        check.add_argument(
            "--requests", type=_count, default=EACH, help="in each round (default: %(default)s)"
        )
        check.add_argument("--method", default="GET", help="default: %(default)s")
        # Suppressed: else its default would be put in the place of what stands before check-route.
        check.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="as JSON instead of text"
        )

    def handle(self, *args: Any, **given: Any) -> None:
        if given["command"] == "check-route":
            self._check_route(given)
        else:
            self._status(given["json"])

    # -- a path

    def _check_route(self, given: dict[str, Any]) -> None:
        method, path = given["method"].upper(), given["path"]
        if not path.startswith("/"):
            raise CommandError(
                f"A path begins with a slash, like /orders/7/, not {path!r}.", returncode=2
            )
        client = Client(raise_request_exception=False, SERVER_NAME=_host())
        statuses: set[int] = set()

        def ask() -> None:
            for _ in range(given["requests"]):
                statuses.add(client.generic(method, path).status_code)

        ask()
        if statuses == {404}:
            raise CommandError(
                f"{method} {path} is answered with 404: there is no such page.", returncode=2
            )
        warmup = max(WARM_UP - 1, 0)
        report = diagnose(ask, given["rounds"], warmup=warmup, title=f"{method} {path}")
        if given["json"]:
            data = {"schema": SCHEMA, "statuses": sorted(statuses), "report": report.to_dict()}
            self.stdout.write(json.dumps(data, indent=2))
        else:
            told = ", ".join(map(str, sorted(statuses)))
            self.stdout.write(
                f"{method} {path}: {given['rounds']} rounds of {given['requests']} requests,"
                f" answered with {told}.\n\n{report}"
            )
        if report:
            sys.exit(1)

    # -- what is on

    def _status(self, as_json: bool) -> None:
        data = _status()
        if as_json:
            self.stdout.write(json.dumps(data, indent=2))
        else:
            self.stdout.write("\n".join(_status_lines(data)))
        if data["errors"]:
            sys.exit(1)


def _status() -> dict[str, Any]:
    messages = [
        message
        for check in (checks.check_settings, checks.check_middleware, checks.check_urls)
        for message in check(None)
    ]
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "django": django.get_version(),
        "errors": any(message.level >= ERROR for message in messages),
        "messages": [
            {"id": message.id, "text": message.msg, "hint": message.hint} for message in messages
        ],
        "enabled": None,
        "pages": None,
        "settings": {},
    }
    try:
        settings = options.read()
    except SettingsError:
        return data
    given = options.options()
    data["enabled"] = settings.enabled
    data["debug"] = django_settings.DEBUG
    data["middleware"] = checks.position()
    if settings.enabled and settings.dashboard and is_mounted(settings.url_prefix):
        data["pages"] = settings.url_prefix
    data["settings"] = {
        name.upper(): {"value": _plain(name, settings), "given": name in given} for name in NAMES
    }
    return data


def _status_lines(data: dict[str, Any]) -> list[str]:
    lines = []
    if data["enabled"] is not None:
        state = "enabled" if data["enabled"] else "not enabled"
        debug = "on" if data["debug"] else "off"
        lines.append(f"memscope is {state}; DEBUG is {debug}; Django {data['django']}.")
        at = data["middleware"]
        where = "not in MIDDLEWARE" if at is None else f"number {at + 1} of MIDDLEWARE"
        lines.append(f"Its middleware is {where}.")
        pages = data["pages"]
        lines.append(f"Its pages are at {pages}" if pages else "Its pages are not served.")
        lines += ["", "Settings (* in MEMSCOPE, others by default):"]
        width = max(map(len, data["settings"]))
        for name, setting in data["settings"].items():
            mark = "*" if setting["given"] else " "
            lines.append(f"  {mark} {name:<{width}}  {setting['value']}")
    for message in data["messages"]:
        hint = f"\n    {message['hint']}" if message["hint"] else ""
        lines += ["", f"{message['id']}: {message['text']}{hint}"]
    return lines


def _plain(name: str, settings: Settings) -> Any:
    """A setting as JSON knows it; that there is a token, not which."""
    value = getattr(settings, name)
    if name == "token":
        return None if value is None else "(set)"
    if callable(value):
        return (
            f"{value.__module__}.{value.__qualname__}" if hasattr(value, "__qualname__") else "set"
        )
    if isinstance(value, tuple):
        return [one.pattern if isinstance(one, re.Pattern) else one for one in value]
    return value


def _host() -> str:
    """A host that the project answers for."""
    for host in django_settings.ALLOWED_HOSTS:
        if host == "*":
            break
        return str(host).lstrip(".")
    return "localhost"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(text)
    return int(text)
