"""The housekeeping of checks: a summary of each finished day, and then the samples may go."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import date, datetime, timedelta

from django.utils import timezone

from core import runtime
from core.housekeeping import Batch, Job, Step, prune_by_age
from core.ids import first_id_at
from integrations.health.days import day_of, days_before, start_of
from integrations.health.record import SCHEDULE
from integrations.models import HealthDay, HealthSample, Integration

_INTEGRATIONS_AT_ONCE = 20
_MOST_DAYS_BACK = 7
# a check that ended at midnight may be on its way into the database, and clocks differ
_GRACE = timedelta(minutes=5)


def summarize_days(batch: Batch, now: datetime | None = None) -> Step:
    """Write the summary of every finished day that has none; a finished day is summarized once, while its samples are there."""
    now = now or timezone.now()
    rows = Integration.objects.filter(id__gt=batch.cursor) if batch.cursor else Integration.objects.all()
    ids = list(rows.order_by("id").values_list("id", flat=True)[:_INTEGRATIONS_AT_ONCE])
    today = (now - _GRACE).date()
    back = min(_MOST_DAYS_BACK, runtime.current().health_retention_days)
    count = 0
    for day in days_before(today, back) if ids else []:
        done = set(HealthDay.objects.filter(integration_id__in=ids, day=day).values_list("integration_id", flat=True))
        missing = [id for id in ids if id not in done]
        fresh = summaries(missing, day) if missing else []
        if not batch.dry_run and fresh:
            HealthDay.objects.bulk_create(fresh, ignore_conflicts=True)  # another worker may be at it, with the same samples
        count += len(fresh)
    return Step(count, str(ids[-1]) if len(ids) == _INTEGRATIONS_AT_ONCE else "")


def summaries(ids: list[uuid.UUID], day: date) -> list[HealthDay]:
    """Return the unsaved summaries of these integrations that had scheduled checks on a day; one statement."""
    samples = HealthSample.objects.filter(integration_id__in=ids, trigger=SCHEDULE)
    samples = samples.filter(id__gte=first_id_at(start_of(day)), id__lt=first_id_at(start_of(day + timedelta(days=1))))
    found: dict[uuid.UUID, list[tuple[bool | None, float | None]]] = defaultdict(list)
    for integration_id, ok, response_ms in samples.order_by().values_list("integration_id", "ok", "response_ms"):
        found[integration_id].append((ok, response_ms))
    made = {integration_id: day_of(day, checks) for integration_id, checks in found.items()}
    return [
        HealthDay(
            integration_id=integration_id,
            day=day,
            checks=summary.checks,
            failures=summary.failures,
            unmeasured=summary.unmeasured,
            p50_ms=summary.p50_ms,
            p95_ms=summary.p95_ms,
            p99_ms=summary.p99_ms,
        )
        for integration_id, summary in made.items()
    ]


def prune_samples(batch: Batch) -> Step:
    """Delete checks after their retention time; days go as a whole, so that none is summarized from what is left of it."""
    first_kept = start_of((timezone.now() - timedelta(days=runtime.current().health_retention_days)).date())
    return prune_by_age(HealthSample.objects.all(), first_kept, batch)


JOBS = (
    Job("integrations.health_days", timedelta(hours=1), "Summarizes the checks of finished days.", summarize_days),
    Job("integrations.health_samples", timedelta(hours=1), "Deletes single checks after their time; daily summaries stay.", prune_samples),
)
