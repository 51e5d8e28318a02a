"""The housekeeping of the plumbing's own tables."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from core import leases, queue
from core.housekeeping import Batch, Job, Step, prune_by_age
from core.models import Housekeeping, IdempotencyKey, Worker
from core.models.work import WorkState

IDEMPOTENCY_HOURS = 24
HISTORY_DAYS = 14
DEAD_WORKER_SECONDS = 3600.0


def prune_idempotency_keys(batch: Batch) -> Step:
    """Delete kept answers after a day."""
    return prune_by_age(IdempotencyKey.objects.all(), timezone.now() - timedelta(hours=IDEMPOTENCY_HOURS), batch)


def prune_history(batch: Batch) -> Step:
    """Delete ended housekeeping rows."""
    ended = Housekeeping.objects.filter(state__in=[WorkState.DONE, WorkState.FAILED])
    return prune_by_age(ended, timezone.now() - timedelta(days=HISTORY_DAYS), batch)


def prune_task_results(batch: Batch) -> Step:
    """Delete what the queue noted about ended tasks."""
    if batch.dry_run:
        return Step()
    rows = queue.prune_results(timezone.now() - timedelta(days=HISTORY_DAYS))
    return Step(rows, "more" if rows >= batch.limit else "")


def prune_workers(batch: Batch) -> Step:
    """Delete workers that have been silent for an hour."""
    dead = Worker.objects.filter(leases.lapsed(DEAD_WORKER_SECONDS))
    ids = list(dead.values_list("id", flat=True)[: batch.limit])
    if not batch.dry_run:
        dead.filter(id__in=ids).delete()
    return Step(len(ids), "more" if len(ids) == batch.limit and not batch.dry_run else "")


def prune_sessions(batch: Batch) -> Step:
    """Delete expired admin sessions."""
    keys = list(Session.objects.filter(expire_date__lt=timezone.now()).values_list("pk", flat=True)[: batch.limit])
    if not batch.dry_run:
        Session.objects.filter(pk__in=keys).delete()
    return Step(len(keys), "more" if len(keys) == batch.limit and not batch.dry_run else "")


JOBS = (
    Job("core.idempotency_keys", timedelta(hours=1), "Deletes answers kept for repeated requests after a day.", prune_idempotency_keys),
    Job("core.history", timedelta(days=1), f"Deletes ended housekeeping runs after {HISTORY_DAYS} days.", prune_history),
    Job("core.task_results", timedelta(hours=1), f"Deletes the queue's task results after {HISTORY_DAYS} days.", prune_task_results),
    Job("core.workers", timedelta(hours=1), "Deletes workers that have been silent for an hour.", prune_workers),
    Job("core.sessions", timedelta(days=1), "Deletes expired admin sessions.", prune_sessions),
)
