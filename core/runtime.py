"""The thresholds that admins change while the portal runs, as every process reads them: one statement in five seconds.

A change made in the admin is in force in that process at once and everywhere else within CACHE_SECONDS.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

from core.models import RuntimeSettings

CACHE_SECONDS = 5.0


@dataclass(frozen=True)
class Runtime:
    """A copy of the RuntimeSettings row; the model's help texts say what each value means."""

    delivery_retention_days: int
    event_retention_days: int
    audit_retention_days: int
    usage_retention_days: int
    request_log_retention_days: int
    receipt_retention_days: int
    build_retention_days: int
    build_import_retention_days: int
    analysis_retention_days: int
    commit_retention_days: int
    health_retention_days: int
    request_timeout_seconds: int
    connect_timeout_seconds: int
    response_body_bytes: int
    breaker_failures: int
    breaker_first_hold_seconds: int
    breaker_longest_hold_seconds: int
    disable_after_hours: int
    secret_overlap_hours: int
    credentials_overlap_hours: int
    credentials_warning_days: int
    quota_warning_percent: int
    check_minutes_critical: int
    check_minutes_important: int
    check_minutes_optional: int
    teams_register_repositories: bool
    log_request_bodies: bool


NAMES = tuple(field.name for field in fields(Runtime))


class _Cache:
    """The last reading of this process and when it was made: one tuple, so that threads see both or neither."""

    reading: tuple[float, Runtime] | None = None


def current() -> Runtime:
    """Return the settings in force: the row, or the model's defaults where there is none. At most CACHE_SECONDS old."""
    if (reading := _Cache.reading) is not None and time.monotonic() - reading[0] < CACHE_SECONDS:
        return reading[1]
    # no lock: two threads may both read, which is cheaper than all of them waiting for one on a slow database
    fresh = _read()
    _Cache.reading = (time.monotonic(), fresh)
    return fresh


def forget() -> None:
    """Read the row again at the next call: after a change, and between tests."""
    _Cache.reading = None


def _read() -> Runtime:
    defaults = RuntimeSettings()
    stored = RuntimeSettings.objects.filter(pk=1).values(*NAMES).first() or {}
    return Runtime(**{name: stored.get(name, getattr(defaults, name)) for name in NAMES})
