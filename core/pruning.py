"""The housekeeping of the plumbing's own tables."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.utils import timezone

from core import leases, queue, runtime
from core.housekeeping import Batch, Job, Step, delete_rows, prune_by_age
from core.models import CachedAnswer, Housekeeping, IdempotencyKey, QuotaUsage, RequestLog, Worker
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


def prune_request_log(batch: Batch) -> Step:
    """Delete the log of outbound calls after its retention time."""
    before = timezone.now() - timedelta(days=runtime.current().request_log_retention_days)
    return prune_by_age(RequestLog.objects.all(), before, batch)


def prune_cached_answers(batch: Batch) -> Step:
    """Delete kept answers that nobody may use any more."""
    old = CachedAnswer.objects.filter(expires_at__lt=timezone.now())
    keys = list(old.order_by("expires_at").values_list("pk", flat=True)[: batch.limit])
    if keys and not batch.dry_run:
        delete_rows(old.filter(pk__in=keys))  # asked again: one that was confirmed at this moment stays
    return Step(len(keys), "more" if len(keys) == batch.limit and not batch.dry_run else "")


def prune_quota_usage(batch: Batch) -> Step:
    """Delete windows of quotas that ended before the log of outbound calls begins; their keys rise with the time."""
    before = timezone.now() - timedelta(days=runtime.current().request_log_retention_days)
    rows = QuotaUsage.objects.filter(pk__gt=batch.cursor) if batch.cursor else QuotaUsage.objects.all()
    first = list(rows.order_by("pk").values_list("pk", "window_start", "window_seconds")[: batch.limit])
    old = [key for key, start, seconds in first if start + timedelta(seconds=seconds) < before]
    if old and not batch.dry_run:
        delete_rows(QuotaUsage.objects.filter(pk__in=old))
    return Step(len(old), str(first[-1][0]) if old and len(first) == batch.limit else "")


JOBS = (
    Job("core.cached_answers", timedelta(hours=1), "Deletes kept answers of other systems after their time.", prune_cached_answers),
    Job("core.quota_usage", timedelta(days=1), "Deletes used quotas with the log of outbound calls.", prune_quota_usage),
    Job("core.request_log", timedelta(hours=1), "Deletes the log of outbound calls after its retention time.", prune_request_log),
    Job("core.idempotency_keys", timedelta(hours=1), "Deletes answers kept for repeated requests after a day.", prune_idempotency_keys),
    Job("core.history", timedelta(days=1), f"Deletes ended housekeeping runs after {HISTORY_DAYS} days.", prune_history),
    Job("core.task_results", timedelta(hours=1), f"Deletes the queue's task results after {HISTORY_DAYS} days.", prune_task_results),
    Job("core.workers", timedelta(hours=1), "Deletes workers that have been silent for an hour.", prune_workers),
    Job("core.sessions", timedelta(days=1), "Deletes expired admin sessions.", prune_sessions),
)
