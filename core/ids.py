"""UUIDv7 ids: ordered by time, so that pages, time filters and retention are range scans (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """Return a new id; ids of one process rise strictly, also within a millisecond."""
    global _last  # noqa: PLW0603 - the last value is what makes the ids monotonic
    with _lock:
        # 48 bits of milliseconds and 12 bits of the millisecond's fraction (RFC 9562, 6.2, method 3)
        now = (time.time_ns() * 4096) // 1_000_000
        _last = now if now > _last else _last + 1
        stamp = _last
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62
    return uuid.UUID(int=value | int.from_bytes(os.urandom(8), "big") >> 2)


def first_id_at(moment: datetime) -> uuid.UUID:
    """Return the smallest id a row created at `moment` (aware) can have: the bound of a time filter on the id."""
    milliseconds = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    return uuid.UUID(int=(milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | 0b10 << 62)


def is_uuid(text: str) -> bool:
    """Say whether `text` is a UUID, in any of the forms that Python reads."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
