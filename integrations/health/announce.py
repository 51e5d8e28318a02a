"""What is said about an integration's health: each announcement carries a key, so that it is published once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from core.bus import Announcement
from integrations.models import Integration, IntegrationHealth

_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"))


def unhealthy(integration: Integration, health: IntegrationHealth) -> Announcement:
    """Say that an integration became unhealthy; once for each time it began to fail."""
    since = _text(health.failing_since)
    return _about(integration, "unhealthy", since, reason=health.last_error, failing_since=since)


def recovered(integration: Integration, health: IntegrationHealth, now: datetime) -> Announcement:
    """Say that it works again."""
    since = health.failing_since or health.since or now
    return _about(integration, "recovered", _text(since), failed_seconds=round((now - since).total_seconds()))


def quota_warning(integration: Integration, used: int, limit: int, window_start: datetime, window_seconds: int) -> Announcement:
    """Say that most of a quota is used; once for each window."""
    start = _text(window_start)
    return _about(
        integration, "quota_warning", start, used=used, limit=limit, window=words(window_seconds),
        window_start=start, reason=f"{used} of {limit} calls of this {words(window_seconds)} are used.",
    )  # fmt: skip


def credentials_expiring(integration: Integration, expires_at: datetime, step: int, now: datetime) -> Announcement:
    """Say that credentials end soon; once for each step of days before."""
    left = max(0, (expires_at - now).days)
    when = "have ended" if expires_at <= now else "end within a day" if left == 0 else f"end in {left} day{'' if left == 1 else 's'}"
    reason = f"The credentials of {integration.name} {when}; rotate them."
    return _about(
        integration, "credentials_expiring", f"{_text(expires_at)}:{step}", expires_at=_text(expires_at), days_left=left, reason=reason
    )


def words(seconds: int) -> str:
    """Return a length of time as `hour`, `7 days` or `90 seconds`."""
    for size, unit in _UNITS:
        if seconds >= size and seconds % size == 0:
            number = seconds // size
            return unit if number == 1 else f"{number} {unit}s"
    return f"{seconds} seconds"


def _about(integration: Integration, what: str, episode: str, **data: Any) -> Announcement:
    return Announcement(
        type=f"integration.{what}",
        data={"integration_id": str(integration.id), "integration": integration.name, "provider": integration.type, **data},
        owner_id=integration.owner_id,
        idempotency_key=f"integration.{what}:{integration.id}:{episode}",
    )


def _text(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else ""
