"""Every place where the portal shows or stores something, as text: what test_secrets_nowhere.py looks through."""

from __future__ import annotations

import dataclasses
import functools
import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin as django_admin
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from core.errors import RepoGuardError
from core.logs import ContextFilter, JsonFormatter
from repoguard.api_v1 import RESOURCES
from tests.everything import APPS

Pages = Iterator[tuple[str, str]]
EACH = 5  # objects of one kind that are looked at


def said(answer: Any) -> str:
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return f"{answer.status_code} {dict(answer.items())} {answer.cookies} {body.decode('utf-8', 'replace')}"


def api_routes(client: Client) -> Pages:
    """GET every list, every object in it, and every further route that is read, from the router's table."""
    for name, viewset in RESOURCES.items():
        answer = client.get(f"/api/v1/{name}")
        yield f"GET {name}", said(answer)
        # a resource without a list answers with its latest object
        rows = answer.json().get("results", [answer.json()]) if answer.status_code == 200 else []
        key = next((field for field in ("id", "key", "name", "type") if rows and field in rows[0]), "id")
        for row in rows[:EACH]:
            yield f"GET {name}/{{id}}", said(client.get(f"/api/v1/{name}/{row[key]}"))
        for action in viewset.get_extra_actions():
            if "get" not in action.mapping:
                continue
            for place in [f"{row[key]}/" for row in rows[:EACH]] if action.detail else [""]:
                yield f"GET {name}/{action.url_path}", said(client.get(f"/api/v1/{name}/{place}{action.url_path}"))
    for path in ("/api/v1/health", "/api/schema", "/docs", "/livez", "/metrics"):
        yield f"GET {path}", said(client.get(path))


def admin_pages(browser: Client) -> Pages:
    """Open every page of every registered model, and the pages that belong to none, from the site's own table."""
    for model, model_admin in django_admin.site._registry.items():
        names = [pattern.name for pattern in model_admin.get_urls() if pattern.name]
        for name in sorted(set(names)):
            for page in _urls(name, [None, *model._default_manager.values_list("pk", flat=True)[:EACH]]):
                yield f"admin {name}", said(browser.get(page))
    for name in ("index", "event_types", "search"):
        yield f"admin {name}", said(browser.get(reverse(f"admin:{name}"), {"s": "e"}))


def _urls(name: str, keys: list[Any]) -> Iterator[str]:
    for key in keys:
        try:
            yield reverse(f"admin:{name}", args=[] if key is None else [key])
        except NoReverseMatch:
            continue


def tables() -> Pages:
    """Return every table of the database as it is stored, and the queue's messages as they are read."""
    with connection.cursor() as cursor:
        for table in sorted(connection.introspection.table_names(cursor)):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            text = "\n".join(repr([bytes(cell) if isinstance(cell, memoryview) else cell for cell in row]) for row in cursor.fetchall())
            yield f"table {table}", text
    for message in OrmQ.objects.all():
        yield "queue", repr(SignedPackage.loads(message.payload))


def dumps() -> Pages:
    out = io.StringIO()
    call_command("dumpdata", stdout=out)
    yield "dumpdata", out.getvalue()


def instances() -> Pages:
    """Return repr and str of rows of every model."""
    for model in apps.get_models():
        for row in model._default_manager.all()[:EACH]:
            yield f"repr of {model._meta.label}", f"{row!r} {row}"


class Lines(logging.Handler):
    """Keeps what the portal would log, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.setFormatter(JsonFormatter())
        self.addFilter(ContextFilter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@contextmanager
def logged() -> Iterator[Lines]:
    """Log everything from DEBUG on for as long as the block runs."""
    root, handler = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


def watch_dataclasses(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the set to which every dataclass of the portal that is made from now on adds its repr."""
    shown: set[str] = set()
    for kind in _dataclasses():
        monkeypatch.setattr(kind, "__init__", _telling(kind.__init__, shown))
    return shown


def _dataclasses() -> set[type]:
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in APPS and module is not None]
    found = {item for module in modules for item in vars(module).values() if isinstance(item, type) and dataclasses.is_dataclass(item)}
    return {kind for kind in found if kind.__module__.partition(".")[0] in APPS and "__init__" in vars(kind)}


def _telling(original: Any, shown: set[str]) -> Any:
    @functools.wraps(original)
    def init(self: Any, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        shown.add(f"{type(self).__name__}: {self!r}")

    return init


def watch_errors(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the set to which every error that the portal makes from now on adds what it says."""
    shown: set[str] = set()
    original = RepoGuardError.__init__

    def init(self: RepoGuardError, *args: Any, **named: Any) -> None:
        original(self, *args, **named)
        shown.add(f"{type(self).__name__}: {self} {self!r} {self.fields}")

    monkeypatch.setattr(RepoGuardError, "__init__", init)
    return shown
