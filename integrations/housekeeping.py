"""Forgetting old credentials when their overlap has ended."""

from __future__ import annotations

from datetime import timedelta

from core.housekeeping import Batch, Job, Step
from integrations.services.credentials import drop_expired


def drop_old_credentials(batch: Batch) -> Step:
    """Forget credentials that were rotated out and can't be restored any more."""
    rows = drop_expired(batch.limit, dry_run=batch.dry_run)
    return Step(rows, "more" if rows >= batch.limit and not batch.dry_run else "")


JOBS = (
    Job(
        "integrations.old_credentials",
        timedelta(minutes=10),
        "Forgets credentials that were rotated out, when their overlap has ended.",
        drop_old_credentials,
    ),
)
