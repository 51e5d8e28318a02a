"""Starting an analysis: its window is made whole, its row written, a worker woken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypedDict

from django.db import transaction
from django.utils import timezone

from access.principals import Principal
from builds.analysis.scope import of_names
from builds.models import Analysis
from core import context, work_registry
from core.errors import InvalidInput

KIND_NAME = "build analyses"
LONGEST = timedelta(days=3660)
USUAL = timedelta(days=30)


class Window(TypedDict, total=False):
    """A window; what is missing is chosen."""

    since: datetime | None
    until: datetime | None


class AnalyzeValues(TypedDict, total=False):
    """What is asked for; empty texts mean all. `compare` names the other window."""

    project: str
    branch: str
    workflow: str
    since: datetime | None
    until: datetime | None
    compare: Window | None


def start_analysis(values: AnalyzeValues, who: Principal) -> Analysis:
    """Have the builds that `who` sees analysed, and return the row to look at; raises InvalidInput for an impossible window.

    Without `until` it is now; without `since` the start of the first such build, ten years before `until` at most.
    """
    names = {name: values.get(name) or "" for name in ("project", "branch", "workflow")}
    until = values.get("until") or timezone.now()
    since = values.get("since") or _first_start(who, until, **names)  # type: ignore[arg-type]
    _check("", since, until)
    other = values.get("compare")
    row = Analysis(owner_id=who.default_owner_id, since=since, until=until, started_by=context.actor().label[:200], **names)
    if other is not None:
        row.compare_until = other.get("until") or since
        row.compare_since = other.get("since") or row.compare_until - (until - since)
        _check("compare.", row.compare_since, row.compare_until)
    with transaction.atomic():
        row.save(force_insert=True)
        work_registry.wake(KIND_NAME)
    return Analysis.objects.get(pk=row.pk)


def _first_start(who: Principal, until: datetime, project: str, branch: str, workflow: str) -> datetime:
    started = of_names(who, project, branch, workflow).filter(started_at__gte=until - LONGEST, started_at__lt=until)
    first = started.order_by("started_at").values_list("started_at", flat=True).first()
    return first or until - USUAL


def _check(prefix: str, since: datetime, until: datetime) -> None:
    if since >= until:
        raise InvalidInput.of(f"{prefix}since", "must lie before until.")
    if until - since > LONGEST:
        raise InvalidInput.of(f"{prefix}since", f"is more than {LONGEST.days} days before until; choose a shorter window.")
