"""Which builds an analysis is about, and how they are read: narrow, ordered, never all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Collate

from access.principals import Principal
from access.selectors import visible
from builds.models import Build

USUAL_DEFAULT_BRANCHES = ("main", "master")
"""Taken for default branches where the project is no known repository."""
_CHUNK = 5000
END = Coalesce("finished_at", "started_at", "created_at")
"""When a build ended; one whose end isn't known counts at its start."""


class Row(NamedTuple):
    """What the pass reads of a build. `is_last`: no higher attempt of the same run is in the scope."""

    project: str
    workflow: str
    branch: str
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    duration_seconds: float | None
    is_pull_request: bool
    event: str
    default_branch: str | None
    is_last: bool

    @property
    def start(self) -> datetime:
        """Return when it started; where that isn't known, when it was first reported."""
        return self.started_at or self.created_at

    @property
    def end(self) -> datetime:
        """Return when it ended, as END orders them."""
        return self.finished_at or self.started_at or self.created_at

    @property
    def seconds(self) -> float | None:
        """Return how long it took: as its source says, else from start to end; None where neither is known or possible."""
        took = self.duration_seconds
        if took is None and self.started_at and self.finished_at:
            took = (self.finished_at - self.started_at).total_seconds()
        return took if took is not None and 0 <= took < float("inf") else None

    @property
    def on_default_branch(self) -> bool:
        """Say whether its branch is the repository's default one, or is named as one where the repository isn't known."""
        return self.branch in USUAL_DEFAULT_BRANCHES if self.default_branch is None else self.branch == self.default_branch


@dataclass(frozen=True)
class Scope:
    """The builds that `who` sees and that started in [since, until); an empty text means all."""

    who: Principal
    since: datetime
    until: datetime
    project: str = ""
    branch: str = ""
    workflow: str = ""

    def builds(self) -> QuerySet[Build]:
        """Return them, without an order. A build without a start counts at the time at which it was first reported."""
        started = Q(started_at__gte=self.since, started_at__lt=self.until)
        reported = Q(started_at__isnull=True, created_at__gte=self.since, created_at__lt=self.until)
        return of_names(self.who, self.project, self.branch, self.workflow).filter(started | reported)

    def rows(self) -> Iterator[Row]:
        """Read them in one statement: each (project, workflow, branch) in one piece, within it in the order in which they ended."""
        same_run = {name: OuterRef(name) for name in ("project", "source", "build_id")}
        later = self.builds().filter(attempt__gt=OuterRef("attempt"), **same_run)
        ordered = self.builds().order_by("project", "workflow", "branch", END, F("started_at").asc(nulls_first=True), "attempt", "id")
        names = [name for name in Row._fields if name not in ("default_branch", "is_last")]
        found: Any = ordered.annotate(is_last=~Exists(later)).values_list(*names, "repository__default_branch", "is_last")
        return map(Row._make, found.iterator(chunk_size=_CHUNK))


def of_names(who: Principal, project: str, branch: str, workflow: str) -> QuerySet[Build]:
    """Return the builds that `who` sees with these names, of all times; an empty text means all."""
    names = {"project": project, "branch": branch, "workflow": workflow}
    return visible(Build.objects.all(), who).filter(**{name: value for name, value in names.items() if value})


def on_default_branch() -> Q:
    """Return the condition that Row.on_default_branch states."""
    unknown = Q(repository__isnull=True, branch__in=USUAL_DEFAULT_BRANCHES)
    return unknown | Q(repository__isnull=False, branch=F("repository__default_branch"))


def plainly(name: str) -> Collate:
    """Return a text column to order by character codes, so that every database cuts a list off at the same place."""
    return Collate(name, "C" if connection.vendor == "postgresql" else "BINARY")
