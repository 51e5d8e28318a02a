"""The housekeeping of the access room: audit entries, API usage and the log of logins."""

from __future__ import annotations

from datetime import timedelta

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.db import models
from django.utils import timezone

from access.models import ApiUsage, AuditEntry
from core import runtime
from core.housekeeping import Batch, Job, Step, delete_rows, prune_by_age

_LOGIN_LOGS: tuple[type[models.Model], ...] = (AccessAttempt, AccessFailureLog, AccessLog)


def prune_audit(batch: Batch) -> Step:
    """Delete audit entries after their retention time."""
    return prune_by_age(AuditEntry.objects.all(), timezone.now() - timedelta(days=runtime.current().audit_retention_days), batch)


def prune_usage(batch: Batch) -> Step:
    """Delete usage counts after their retention time.

    Rows are made on the day they count, so their keys rise with the day: the oldest are the first, and no index is needed.
    """
    oldest_kept = timezone.now().date() - timedelta(days=runtime.current().usage_retention_days)
    rows = ApiUsage.objects.filter(pk__gt=batch.cursor) if batch.cursor else ApiUsage.objects.all()
    first = list(rows.order_by("pk").values_list("pk", "day")[: batch.limit])
    old = [key for key, day in first if day < oldest_kept]
    if old and not batch.dry_run:
        delete_rows(ApiUsage.objects.filter(pk__in=old))
    # the first row that is kept ends it; a count that came late is found the next day
    return Step(len(old), str(old[-1]) if len(old) == batch.limit else "")


def prune_login_logs(batch: Batch) -> Step:
    """Delete what the login guard noted, after the audit's retention time."""
    before = timezone.now() - timedelta(days=runtime.current().audit_retention_days)
    rows = 0
    for model in _LOGIN_LOGS:
        keys = list(model._default_manager.filter(attempt_time__lt=before).order_by("pk").values_list("pk", flat=True)[: batch.limit])
        rows += len(keys)
        if not batch.dry_run:
            model._default_manager.filter(pk__in=keys).delete()
        if len(keys) == batch.limit and not batch.dry_run:
            return Step(rows, "more")
    return Step(rows)


JOBS = (
    Job("access.audit", timedelta(days=1), "Deletes audit entries after their retention time.", prune_audit),
    Job("access.usage", timedelta(days=1), "Deletes API usage after its retention time.", prune_usage),
    Job("access.logins", timedelta(days=1), "Deletes the login guard's notes after the audit's retention time.", prune_login_logs),
)
