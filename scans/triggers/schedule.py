"""The clock: sources are scanned every so many hours, spread so that they do not all come at once."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from core.housekeeping import Batch, Step
from integrations.models import RepositorySource
from integrations.selectors.sources import working_sources
from scans.choices import ScanTrigger
from scans.services.queueing import Wanted, queue_scans

SPREAD = 0.1
"""Part of its hours by which a source is scanned sooner or later."""


def queue_due(batch: Batch) -> Step:
    """Queue the scans that are due, and set when the next are."""
    now = timezone.now()
    due = working_sources().filter(every_hours__isnull=False, next_at__lte=now)
    if batch.dry_run:
        return Step(due.count())
    with transaction.atomic():
        rows = list(due.select_for_update(of=("self",), skip_locked=True).order_by("next_at", "id")[: batch.limit])
        if rows:
            queue_scans([_wanted(row) for row in rows])
            for row in rows:
                row.next_at = _next(row, now)
            RepositorySource.objects.bulk_update(rows, ["next_at"], batch_size=500)
    # what was queued is not due any more: the next batch begins anew
    return Step(len(rows), "more" if len(rows) == batch.limit else "")


def _wanted(row: RepositorySource) -> Wanted:
    return Wanted(row.integration_id, row.repository_id, row.repository.default_branch, trigger=ScanTrigger.SCHEDULE)


def _next(row: RepositorySource, now: datetime) -> datetime:
    spread = random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311 - nobody is to guess it
    return now + timedelta(hours=(row.every_hours or 0) * spread)
