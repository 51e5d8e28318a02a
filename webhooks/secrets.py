"""Signing secrets of a webhook: `whsec_` and base64, the newest first; older ones sign as well until they expire.

Stored (encrypted) as a list of {"secret": "whsec_…", "expires_at": ISO time or null}.
"""

from __future__ import annotations

import base64
import binascii
import secrets as random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from core.errors import InvalidInput

PREFIX = "whsec_"
MAX_KEPT = 10
_NEW_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64
_LONGEST_OVERLAP_HOURS = 720


def new_secret() -> str:
    """Return a fresh secret."""
    return PREFIX + base64.b64encode(random.token_bytes(_NEW_BYTES)).decode()


def check_secret(secret: object) -> str:
    """Return a secret that a caller chose; raises InvalidInput without repeating it."""
    if not isinstance(secret, str) or not secret.startswith(PREFIX):
        raise InvalidInput.of("secret", f"must be a text that begins with {PREFIX}; leave it out to have one generated.")
    try:
        size = len(base64.b64decode(secret.removeprefix(PREFIX), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not _FEWEST_BYTES <= size <= _MOST_BYTES:
        raise InvalidInput.of("secret", f"must be {PREFIX} and the base64 of {_FEWEST_BYTES} to {_MOST_BYTES} random bytes.")
    return secret


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
