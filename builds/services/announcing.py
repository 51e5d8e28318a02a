"""The events that follow from stored builds, each once per cause however often it is reported (docs/builds.md).

What a build is compared with are the stored builds of its branch and workflow by the time they started, so that it does not
matter in which order they were reported. Builds without a start take no part in recoveries.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce

from builds.choices import FAILED, FINAL, JUDGED, BuildStatus
from builds.models import Build
from core import bus
from core.bus import Announcement

_LONG_AGO = datetime.fromisoformat("0001-01-02T00:00:00+00:00")


@dataclass(frozen=True)
class Change:
    """A build that was written: its status before ("" for a new one), and what it was (None for a new one)."""

    build: Build
    status_before: str
    before: tuple[object, ...] | None


def announce(changes: Sequence[Change]) -> None:
    """Publish what follows from the changes, in the caller's transaction."""
    moved = [change for change in changes if change.build.status != change.status_before]
    judged = [change.build for change in moved if change.build.status in JUDGED]
    announcements = [*_steps(moved), *_recoveries(judged), *_flaky(judged)]
    if announcements:
        bus.publish_all(announcements)


def _steps(moved: Sequence[Change]) -> Iterable[Announcement]:
    for change in moved:
        build = change.build
        if build.status == BuildStatus.RUNNING:
            yield _about(build, "started")
        if build.status in FINAL:
            yield _about(build, "completed")
        if build.status in FAILED:
            yield _about(build, "failed")


# --- Recoveries: the first success of a branch and workflow after failures ---


def _recoveries(judged: Sequence[Build]) -> Iterable[Announcement]:
    """Look at each success, and at the next success after each failure: it may have been reported before the failure."""
    ids = {build.id for build in judged if build.status == BuildStatus.SUCCESS and build.started_at}
    failed = [build.id for build in judged if build.status in FAILED and build.started_at]
    if failed:
        following = _group(Build.objects.filter(status=BuildStatus.SUCCESS, started_at__gt=OuterRef("started_at"))).order_by("started_at")
        rows = Build.objects.filter(id__in=failed).annotate(following=Subquery(following.values("id")[:1]))
        ids |= {found for found in rows.values_list("following", flat=True) if found}
    if not ids:
        return
    for build in _with_streak(ids):
        red: int = build.failures or 0  # type: ignore[attr-defined]
        if red:
            yield _about(build, "recovered", failures=red, red_seconds=_red_seconds(build))


def _with_streak(ids: Iterable[Any]) -> QuerySet[Build]:
    """Return successes, each with its streak of failures: how many since the success before it, and when the first ended."""
    earlier = _group(Build.objects.filter(_before(), started_at__lte=OuterRef("started_at")))
    last_success = earlier.filter(status=BuildStatus.SUCCESS).order_by("-started_at").values("started_at")[:1]
    rows = Build.objects.filter(id__in=list(ids)).annotate(last_success=Coalesce(Subquery(last_success), Value(_LONG_AGO)))
    red = earlier.filter(status__in=FAILED, started_at__gt=OuterRef("last_success")).order_by().values("project")
    return rows.annotate(
        failures=Subquery(red.annotate(number=Count("id")).values("number")),
        red_since=Subquery(red.annotate(first=Min(Coalesce("finished_at", "started_at"))).values("first")),
    )


def _group(builds: QuerySet[Build]) -> QuerySet[Build]:
    same = builds.filter(project=OuterRef("project"), workflow=OuterRef("workflow"), branch=OuterRef("branch"))
    # two owners may have repositories of one name, at different providers
    return same.filter(Q(owner_id=OuterRef("owner_id")) | Q(owner_id__isnull=True))


def _before() -> Q:
    # an attempt may say the same start as the one before it
    return Q(started_at__lt=OuterRef("started_at")) | Q(build_id=OuterRef("build_id"), attempt__lt=OuterRef("attempt"))


def _red_seconds(build: Build) -> float:
    green = build.finished_at or build.started_at
    since: datetime | None = build.red_since  # type: ignore[attr-defined]
    return max(0.0, (green - since).total_seconds()) if green and since else 0.0


# --- Flaky: the same commit and workflow both failed and passed ---


def _flaky(judged: Sequence[Build]) -> Iterable[Announcement]:
    wanted = {(build.project, build.workflow, build.commit, build.owner_id): build for build in judged if build.commit}
    if not wanted:
        return
    outcomes: dict[tuple[str, str, str, uuid.UUID | None], set[str]] = {}
    found = Build.objects.filter(commit__in={commit for _, _, commit, _ in wanted}, status__in=JUDGED)
    columns = ("project", "workflow", F("commit"), "owner_id", "status")
    for *key, status in found.order_by().values_list(*columns).distinct():
        outcomes.setdefault(cast("Any", tuple(key)), set()).add(status)
    for (project, workflow, commit, owner_id), build in wanted.items():
        names = (project, workflow, commit)
        # another owner's builds of the same name say nothing about these, those of nobody do
        seen = outcomes.get((*names, owner_id), set()) | outcomes.get((*names, None), set())
        if BuildStatus.SUCCESS in seen and len(seen) > 1:
            cause = hashlib.sha256("\n".join([*names, *([str(owner_id)] if owner_id else [])]).encode()).hexdigest()
            yield _about(build, "flaky", cause, outcomes=sorted(seen))


def _about(build: Build, name: str, cause: str = "", **more: Any) -> Announcement:
    data = {
        "build_id": build.build_id,
        "attempt": build.attempt,
        "project": build.project,
        "source": build.source,
        "repository": {"full_name": build.project},
        "workflow": build.workflow,
        "branch": build.branch,
        "commit": build.commit,
        "status": build.status,
        "url": build.url,
        "started_at": _text(build.started_at),
        "finished_at": _text(build.finished_at),
        "duration_seconds": build.duration_seconds,
        **more,
    }
    key = f"build.{name}:{cause or build.id.hex}"
    return Announcement(f"build.{name}", data, build.owner_id, build.repository_id, key)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
