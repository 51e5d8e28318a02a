"""Rows of builds for tests, with as little said as possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from builds.models import Build
from builds.rows import BuildRow
from builds.services import Scope, Stored, store_builds
from core.models import Event

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
EVERYTHING = Scope()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def row(build_id: str = "1", status: str = "success", *, minute: float | None = 0, **values: Any) -> BuildRow:
    """Return a row that started `minute` minutes after START and, if it ended, took a minute."""
    given: dict[str, Any] = {"project": "acme/shop", "source": "api", "workflow": "test", "branch": "main"}
    if minute is not None:
        given["started_at"] = at(minute)
        if status not in ("queued", "running"):
            given["finished_at"] = at(minute + 1)
    return BuildRow(build_id=build_id, status=status, **(given | values))


def store(*rows: BuildRow, scope: Scope = EVERYTHING, publish: bool = True) -> Stored:
    return store_builds(rows, scope, publish=publish)


def counts(stored: Stored) -> tuple[int, int, int, int]:
    return (stored.created, stored.updated, stored.unchanged, len(stored.rejected))


def told(kind: str = "") -> list[tuple[str, str]]:
    """Return (type, build_id) of the events, sorted."""
    events = Event.objects.filter(type=f"build.{kind}") if kind else Event.objects.filter(type__startswith="build.")
    return sorted((event.type.removeprefix("build."), event.payload["build_id"]) for event in events)


def facts() -> list[tuple[Any, ...]]:
    names = ("build_id", "attempt", "status", "conclusion", "branch", "commit", "started_at", "finished_at", "duration_seconds", "url")
    return list(Build.objects.order_by("project", "source", "build_id", "attempt").values_list(*names))
