"""Warnings before something breaks: a quota that is nearly used up, credentials that end soon."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from core import bus, runtime
from core.bus import Announcement
from core.http.limits import window_start
from core.models import QuotaUsage
from integrations.choices import Status
from integrations.health import announce
from integrations.health.record import enroll
from integrations.models import Integration, IntegrationHealth

_LAST_DAYS = (7, 3, 1)
_AT_ONCE = 500


def announce_due() -> int:
    """Publish the warnings that are due; returns how many. Running it twice, or at once, publishes each once."""
    return warn_of_quotas() + warn_of_expiry()


def warn_of_quotas(now: datetime | None = None) -> int:
    """Warn once per window of quotas that are used to the share of the settings."""
    now, share = now or timezone.now(), runtime.current().quota_warning_percent
    active = Integration.objects.defer("credentials", "previous_credentials").filter(status=Status.ACTIVE, quota_limit__gt=0)
    windows = {
        seconds: window_start(now, seconds) for seconds in active.order_by().values_list("quota_window_seconds", flat=True).distinct()
    }
    if not windows:
        return 0
    present = Q()
    for seconds, start in windows.items():
        present |= Q(window_seconds=seconds, window_start=start)
    full = QuotaUsage.objects.filter(present, used__gt=0, integration_id__in=active.values("id"))
    # an integration may have a row of its rate beside that of its quota: only the row of its quota's own window counts
    usage = {(row.integration_id, row.window_seconds): row for row in full if row.limit and row.used * 100 >= row.limit * share}
    if not usage:
        return 0
    due = Q()
    for seconds, start in windows.items():
        ids = [integration_id for integration_id, window in usage if window == seconds]
        due |= Q(quota_window_seconds=seconds, id__in=ids) & ~Q(health__quota_warned_for=start)
    count = 0
    for row in active.filter(due)[:_AT_ONCE]:
        used = usage[row.id, row.quota_window_seconds]
        said = announce.quota_warning(row, used.used, used.limit, used.window_start, used.window_seconds)
        count += _say_once(row, said, Q(quota_warned_for=used.window_start), quota_warned_for=used.window_start)
    return count


def warn_of_expiry(now: datetime | None = None) -> int:
    """Warn of credentials that end: at the days of the settings before, and 7, 3 and 1 days before."""
    now = now or timezone.now()
    steps = expiry_steps(runtime.current().credentials_warning_days)
    soon = Integration.objects.defer("credentials", "previous_credentials").filter(
        status=Status.ACTIVE, credentials_expire_at__lte=now + timedelta(days=steps[-1])
    )
    warned = Q(health__expiry_warned_for=F("credentials_expire_at"), health__expiry_warned_days__lte=steps[0])
    count = 0
    for row in soon.exclude(warned).order_by("credentials_expire_at")[:_AT_ONCE]:
        expires = row.credentials_expire_at
        if expires is None:
            continue
        step = step_of(expires, now, steps)
        said = announce.credentials_expiring(row, expires, step, now)
        known = Q(expiry_warned_for=expires, expiry_warned_days__lte=step)
        count += _say_once(row, said, known, expiry_warned_for=expires, expiry_warned_days=step)
    return count


def expiry_steps(first: int) -> list[int]:
    """Return the days before an expiry at which is warned, the last one first."""
    return sorted({first, *(day for day in _LAST_DAYS if day < first)})


def step_of(expires_at: datetime, now: datetime, steps: Sequence[int]) -> int:
    """Return the step that an expiry has reached: the smallest that is not less than the time left."""
    left = expires_at - now
    return next((step for step in steps if left <= timedelta(days=step)), steps[-1])


def _say_once(row: Integration, said: Announcement, known: Q, **marks: datetime | int) -> int:
    """Publish, and note that it was said, unless it was; the mark and the event are stored together."""
    with transaction.atomic():
        enroll(row)
        if not IntegrationHealth.objects.filter(pk=row.pk).exclude(known).update(**marks):
            return 0
        bus.publish_all([said])
    return 1
