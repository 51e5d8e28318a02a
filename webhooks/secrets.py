"""Signing secrets of a webhook: `whsec_` and base64, the newest first; older ones sign as well until they expire.

Stored (encrypted) as a list of {"secret": "whsec_…", "expires_at": ISO time or null}.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from core.errors import InvalidInput
from core.signing import check_secret, new_secret

__all__ = ["MAX_KEPT", "check_overlap", "check_secret", "initial", "new_secret", "rotated", "signing_secrets"]
MAX_KEPT = 10
_LONGEST_OVERLAP_HOURS = 720


def check_overlap(hours: object) -> float:
    """Return how many hours an old secret goes on signing; raises InvalidInput."""
    if isinstance(hours, bool) or not isinstance(hours, int | float) or not 0 <= hours <= _LONGEST_OVERLAP_HOURS:
        raise InvalidInput.of("overlap_hours", f"must be a number from 0 to {_LONGEST_OVERLAP_HOURS}.")
    return float(hours)


def initial(secret: str) -> list[dict[str, Any]]:
    """Return the stored form of a first secret."""
    return [{"secret": secret, "expires_at": None}]


def signing_secrets(secrets: Sequence[dict[str, Any]], now: datetime) -> list[str]:
    """Return the secrets that sign at `now`, the current one first."""
    return [entry["secret"] for entry in secrets if _lives(entry, now)]


def next_expiry(secrets: Sequence[dict[str, Any]], now: datetime) -> datetime | None:
    """Return when the first of the secrets that sign at `now` ceases to."""
    return min((expiry for entry in secrets if (expiry := _expiry(entry)) and expiry > now), default=None)


def rotated(secrets: Sequence[dict[str, Any]], new: str, overlap_hours: float, now: datetime | None = None) -> list[dict[str, Any]]:
    """Return the stored form after a rotation: `new` first, the others until `overlap_hours` have passed or they expire anyway."""
    now = now or timezone.now()
    end = now + timedelta(hours=overlap_hours)
    kept = [
        {"secret": entry["secret"], "expires_at": min(end, _expiry(entry) or end).isoformat()}
        for entry in secrets
        if entry["secret"] != new and _lives(entry, now)
    ]
    return [*initial(new), *(kept if overlap_hours > 0 else [])][:MAX_KEPT]


def _expiry(entry: dict[str, Any]) -> datetime | None:
    return datetime.fromisoformat(entry["expires_at"]) if entry.get("expires_at") else None


def _lives(entry: dict[str, Any], now: datetime) -> bool:
    expiry = _expiry(entry)
    return expiry is None or expiry > now
