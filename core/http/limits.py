"""Quota and rate of an integration's calls: exact among all processes, as each call takes its share with one statement.

Windows are fixed and begin at multiples of their length since 1970 (UTC): a minute at its full minute, a day at midnight.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import F
from django.utils import timezone

from core.http.door import QuotaUsedUp, Terms
from core.models import QuotaUsage

MINUTE = 60
_LONGEST_WINDOW = timedelta(days=366)
_TAKE = """INSERT INTO core_quotausage (integration_id, window_start, window_seconds, used, "limit") VALUES (%s, %s, %s, 1, %s)
    ON CONFLICT (integration_id, window_seconds, window_start)
    DO UPDATE SET used = core_quotausage.used + 1, "limit" = excluded."limit"
    WHERE core_quotausage.used < excluded."limit" RETURNING used"""


@dataclass(frozen=True)
class Usage:
    """How much of a window is used. `limit` is the one in force at the last call, `window_seconds` 60 for the rate per minute."""

    window_start: datetime
    window_seconds: int
    used: int
    limit: int

    @property
    def resets_at(self) -> datetime:
        """Return when the next window begins."""
        return self.window_start + timedelta(seconds=self.window_seconds)

    @property
    def remaining(self) -> int:
        """Return how many calls are left."""
        return max(0, self.limit - self.used)


def usage(integration_id: uuid.UUID, now: datetime | None = None) -> list[Usage]:
    """Return the present windows in which calls were made, shortest first; none where nothing was called or limited. One statement."""
    now = now or timezone.now()
    rows = QuotaUsage.objects.filter(integration_id=integration_id, window_start__gt=now - _LONGEST_WINDOW, window_start__lte=now)
    latest: dict[int, Usage] = {}
    for row in rows.order_by("window_start").values_list("window_start", "window_seconds", "used", "limit"):
        found = Usage(*row)
        if found.resets_at > now:
            latest[found.window_seconds] = found
    return [latest[seconds] for seconds in sorted(latest)]


def take(terms: Terms) -> None:
    """Count one call. Raises QuotaUsedUp, and then nothing is counted."""
    taken: list[tuple[int, datetime]] = []
    now = timezone.now()
    for seconds, limit in sorted(_limits(terms).items()):
        start = window_start(now, seconds)
        if not _take(terms.integration_id, start, seconds, limit):
            for other, other_start in taken:
                _give_back(terms.integration_id, other_start, other)
            raise _used_up(terms, seconds, limit, start, now)
        taken.append((seconds, start))


def window_start(now: datetime, seconds: int) -> datetime:
    """Return when the window of this length that `now` is in began."""
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC)


def _limits(terms: Terms) -> dict[int, int]:
    """Return the limit by window length; a quota by the minute and a rate are one limit, the smaller."""
    limits: dict[int, int] = {}
    if terms.quota_limit is not None:
        limits[terms.quota_window_seconds] = terms.quota_limit
    if terms.rate_per_minute is not None:
        limits[MINUTE] = min(terms.rate_per_minute, limits.get(MINUTE, terms.rate_per_minute))
    return limits


def _take(integration_id: uuid.UUID, start: datetime, seconds: int, limit: int) -> bool:
    if limit <= 0:
        return False
    parameters = [
        connection.ops.adapt_unknown_value(integration_id) if connection.vendor == "postgresql" else integration_id.hex,
        connection.ops.adapt_datetimefield_value(start),
        seconds,
        limit,
    ]
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, parameters)
        return cursor.fetchone() is not None


def _give_back(integration_id: uuid.UUID, start: datetime, seconds: int) -> None:
    rows = QuotaUsage.objects.filter(integration_id=integration_id, window_start=start, window_seconds=seconds, used__gt=0)
    rows.update(used=F("used") - 1)


def _used_up(terms: Terms, seconds: int, limit: int, start: datetime, now: datetime) -> QuotaUsedUp:
    wait = max(0.001, (start + timedelta(seconds=seconds) - now).total_seconds())
    if seconds == MINUTE:
        sentence = f"{terms.name} may be called {limit} times a minute, and these are used up until the next minute."
    else:
        sentence = f"{terms.name} may be called {limit} times in {seconds} s, and these are used up. Wait, or raise the quota."
    return QuotaUsedUp(sentence, retry_after=wait)
