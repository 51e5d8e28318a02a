"""Builds to analyse, with as little said as possible."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from access.principals import SYSTEM, Principal
from builds.analysis.scope import Scope
from builds.models import Build
from core.ids import uuid7
from integrations.models import Repository

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
WEEK = MONDAY + timedelta(days=7)


def build(minute: float = 0, status: str = "success", lasts: float | None = 5, **values: Any) -> Build:
    """Return a build, not stored, that starts so many minutes after MONDAY and lasts so many."""
    began = MONDAY + timedelta(minutes=minute)
    given: dict[str, Any] = {
        "id": uuid7(),
        "project": "acme/shop",
        "source": "api",
        "build_id": str(uuid.uuid4()),
        "workflow": "test",
        "branch": "main",
        "status": status,
        "started_at": began,
        "finished_at": None if lasts is None else began + timedelta(minutes=lasts),
        "created_at": began,
    }
    return Build(**given | values)


def store(*builds: Build) -> list[dict[str, Any]]:
    """Store builds, and return them as the naive computation takes them."""
    Build.objects.bulk_create(builds)
    known = {row.id: row.default_branch for row in Repository.objects.all()}
    names = [field.attname for field in Build._meta.concrete_fields]
    return [{name: getattr(row, name) for name in names} | {"default_branch": known.get(row.repository_id)} for row in builds]


def scope(since: datetime = MONDAY, until: datetime = WEEK, who: Principal = SYSTEM, **names: str) -> Scope:
    return Scope(who, since, until, **names)
