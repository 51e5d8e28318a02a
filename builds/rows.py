"""BuildRow: a build as somebody reports it, and what must be right about it before it is stored."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builds.choices import FINAL, BuildStatus
from builds.models import Build
from builds.statuses import status_of
from core.texts import storable, storable_json
from integrations.contract.reports import ReportedRun

LARGEST_NUMBER = 2_147_483_647
LONGEST_EXTRA = 20_000
_UNSTORABLE = "holds a NUL character or half of a surrogate pair, which can't be stored."
_WEB = ("http://", "https://")
_REQUIRED = ("project", "source", "build_id")
_TEXTS = (*_REQUIRED, "number", "workflow", "branch", "commit", "event", "conclusion", "language", "actor", "url")
_COUNTS = ("tests_run", "tests_failed", "jobs")
_LENGTHS: dict[str, int] = {name: Build._meta.get_field(name).max_length or 0 for name in _TEXTS}  # type: ignore[union-attr]


@dataclass(frozen=True)
class BuildRow:
    """One report of a build. The names are those of the model; what is left empty is not known, and erases nothing."""

    project: str
    source: str
    build_id: str
    status: str
    attempt: int = 1
    number: str = ""
    workflow: str = ""
    branch: str = ""
    commit: str = ""
    event: str = ""
    is_pull_request: bool | None = None
    conclusion: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration_seconds: float | None = None
    tests_run: int | None = None
    tests_failed: int | None = None
    jobs: int | None = None
    language: str = ""
    actor: str = ""
    url: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    of_job: bool = False
    """Its numbers of tests are those of one job: of a build's jobs the largest counts."""

    @property
    def key(self) -> tuple[str, str, str, int]:
        """Return what makes it one build."""
        return (self.project, self.source, self.build_id, self.attempt)


@dataclass(frozen=True)
class Rejected:
    """A row that was not stored: its place among those given (from 0), the field that is wrong, and why."""

    index: int
    field: str
    reason: str


def of_run(run: ReportedRun, source: str, project: str) -> BuildRow:
    """Return the row of a run that a connector reported; the connector's own word for its result stays as the conclusion."""
    status = status_of(run.status)
    return BuildRow(
        project=storable(project), source=source, build_id=storable(run.build_id), attempt=run.attempt,
        status=status.value if status else run.status, conclusion=_cut("conclusion", run.status if status and run.status != status else ""),
        number=_cut("number", run.number), workflow=_cut("workflow", run.workflow), branch=_cut("branch", run.branch),
        commit=_cut("commit", run.commit), event=_cut("event", run.event), is_pull_request=_is_pull_request(run.event),
        started_at=run.started_at, finished_at=run.finished_at, duration_seconds=run.duration_seconds,
        actor=_cut("actor", run.actor), url=_web(run.url),
    )  # fmt: skip


def first_problem(row: BuildRow) -> tuple[str, str] | None:
    """Return the field of a row that can't be stored, and why; None for a row that can."""
    return _wrong_text(row) or _wrong_status(row) or _wrong_number(row) or _wrong_time(row) or _wrong_extra(row)


def _wrong_text(row: BuildRow) -> tuple[str, str] | None:
    for name in _TEXTS:
        text = getattr(row, name)
        if name in _REQUIRED and not text.strip():
            return name, "must be given."
        if len(text) > _LENGTHS[name]:
            return name, f"has {len(text)} characters; at most {_LENGTHS[name]} are possible."
        if storable(text) != text:
            return name, _UNSTORABLE
    return None if not row.url or row.url.startswith(_WEB) else ("url", "must begin with http:// or https://.")


def _wrong_status(row: BuildRow) -> tuple[str, str] | None:
    if row.status in BuildStatus.values:
        return None
    return "status", f"{row.status[:40]!r} is not known. Use {', '.join(BuildStatus.values)}, or a word that docs/builds.md lists."


def _wrong_number(row: BuildRow) -> tuple[str, str] | None:
    if not 1 <= row.attempt <= LARGEST_NUMBER:
        return "attempt", f"must be 1 to {LARGEST_NUMBER}."
    for name in _COUNTS:
        count = getattr(row, name)
        if count is not None and not 0 <= count <= LARGEST_NUMBER:
            return name, f"must be 0 to {LARGEST_NUMBER}."
    seconds = row.duration_seconds
    if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= LARGEST_NUMBER):
        return "duration_seconds", f"must be 0 to {LARGEST_NUMBER} seconds."
    return None


def _wrong_time(row: BuildRow) -> tuple[str, str] | None:
    for name in ("started_at", "finished_at"):
        moment = getattr(row, name)
        if moment is not None and moment.tzinfo is None:
            return name, "must say its time zone."
    if row.started_at and row.finished_at and row.finished_at < row.started_at:
        return "finished_at", "lies before started_at."
    if row.finished_at and row.status not in FINAL:
        return "finished_at", f"is given though the build is {row.status}."
    return None


def _wrong_extra(row: BuildRow) -> tuple[str, str] | None:
    if storable_json(dict(row.extra)) != dict(row.extra):
        return "extra", _UNSTORABLE
    size = len(json.dumps(dict(row.extra)))
    if size > LONGEST_EXTRA:
        return "extra", f"is {size} characters of JSON; at most {LONGEST_EXTRA} are possible."
    return None


def _cut(name: str, text: str) -> str:
    return storable(text)[: _LENGTHS[name]]


def _web(url: str) -> str:
    """Return an address that can be shown as a link, else nothing: a run is not lost for its link."""
    return url if url.startswith(_WEB) and len(url) <= _LENGTHS["url"] and storable(url) == url else ""


def _is_pull_request(event: str) -> bool | None:
    return event.startswith(("pull_request", "merge_request")) if event else None
