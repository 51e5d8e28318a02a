"""Open findings over time: written down once an hour for each repository, because a finding's own dates forget how often it came back.

A decision, a rescoring or a deletion changes no day that is past: the chart shows what people saw then.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from core.housekeeping import Batch, Job, Step
from integrations.models import Repository
from scans.choices import Severity
from scans.models import DailyCount, Finding
from scans.selectors import counted

KEPT_DAYS = 731
LONGEST_DAYS = 366
_REPOSITORIES_AT_ONCE = 500
_COLUMNS = tuple(Severity.values)


@dataclass(frozen=True)
class TrendPoint:
    """What counted on one day, by severity."""

    day: date
    by_severity: dict[str, int]

    @property
    def total(self) -> int:
        """Return the findings of every severity."""
        return sum(self.by_severity.values())


def trend(repositories: QuerySet[Repository], days: int) -> list[TrendPoint]:
    """Return the last `days` days that were written down, oldest first, summed over these repositories; today as it is now.

    Two statements. A day on which no worker ran is not among them.
    """
    today = _today()
    mine = Q(repository__in=repositories.order_by().values("id"))
    past = DailyCount.objects.filter(mine, day__gt=today - timedelta(days=days), day__lt=today)
    sums: Iterable[Any] = past.order_by().values("day").annotate(**{f"{name}_sum": Sum(name) for name in _COLUMNS}).order_by("day")
    now = dict(counted(Finding.objects.filter(mine)).order_by().values_list("severity").annotate(count=Count("id")))
    points = [TrendPoint(row["day"], {name: row[f"{name}_sum"] for name in _COLUMNS}) for row in sums]
    return [*points, TrendPoint(today, {name: now.get(name, 0) for name in _COLUMNS})]


def write_down(batch: Batch) -> Step:
    """Write today's counts of some repositories; one without findings is written while it has had any within the last days."""
    after = uuid.UUID(batch.cursor) if batch.cursor else uuid.UUID(int=0)
    ids = list(Repository.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True)[:_REPOSITORIES_AT_ONCE])
    rows = _rows(ids, _today())
    if not batch.dry_run:
        DailyCount.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["repository", "day"], update_fields=_COLUMNS, batch_size=500
        )
    return Step(len(rows), str(ids[-1]) if len(ids) == _REPOSITORIES_AT_ONCE else "")


def forget(batch: Batch) -> Step:
    """Delete days that are older than the chart reaches."""
    old = DailyCount.objects.filter(day__lt=_today() - timedelta(days=KEPT_DAYS)).order_by("day")
    ids = list(old.values_list("id", flat=True)[: batch.limit])
    if not batch.dry_run:
        DailyCount.objects.filter(id__in=ids).delete()
    return Step(len(ids), "more" if len(ids) == batch.limit else "")


def _rows(ids: Collection[uuid.UUID], today: date) -> list[DailyCount]:
    found = counted(Finding.objects.filter(repository_id__in=ids)).order_by()
    counts: dict[uuid.UUID, dict[str, int]] = defaultdict(dict)
    for repository_id, severity, count in found.values_list("repository_id", "severity").annotate(count=Count("id")):
        counts[repository_id][severity] = count
    return [DailyCount(repository_id=id, day=today, **counts[id]) for id in sorted({*counts, *_lately(ids, today)})]


def _lately(ids: Collection[uuid.UUID], today: date) -> Iterable[uuid.UUID]:
    """Return those whose line has to come down to zero rather than end."""
    return DailyCount.objects.filter(repository_id__in=ids, day__gte=today - timedelta(days=KEPT_DAYS)).values_list(
        "repository_id", flat=True
    )


def _today() -> date:
    return datetime.now(UTC).date()


JOBS = [
    Job("scans.daily", timedelta(hours=1), "Writes down how many findings are open, for the chart over time.", write_down),
    Job("scans.daily_old", timedelta(days=1), "Deletes days that are older than the chart over time reaches.", forget),
]
