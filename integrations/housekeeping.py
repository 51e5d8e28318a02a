"""Forgetting old credentials when their overlap has ended, and what deleted integrations left."""

from __future__ import annotations

from datetime import timedelta

from core.housekeeping import Batch, Job, Step
from integrations.services.credentials import drop_expired
from integrations.services.purge import hidden, purge_history, remove


def drop_old_credentials(batch: Batch) -> Step:
    """Forget credentials that were rotated out and can't be restored any more."""
    rows = drop_expired(batch.limit, dry_run=batch.dry_run)
    return Step(rows, "more" if rows >= batch.limit and not batch.dry_run else "")


def purge_integrations(batch: Batch) -> Step:
    """Remove one batch of what a deleted integration left, its row last."""
    rows = hidden(batch.cursor)
    if batch.dry_run:
        return Step(rows.count())
    first, following = [*rows.values_list("id", flat=True)[:2], None, None][:2]
    if first is None:
        return Step()
    if count := purge_history(first, batch.limit):
        return Step(count, str(first))
    return Step(remove(first), str(following or ""))


JOBS = (
    Job("integrations.deleted", timedelta(minutes=10), "Removes what deleted integrations left behind.", purge_integrations),
    Job(
        "integrations.old_credentials",
        timedelta(minutes=10),
        "Forgets credentials that were rotated out, when their overlap has ended.",
        drop_old_credentials,
    ),
)
