"""What a service says about waiting: Retry-After, and the headers of its rate limits."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from core.http.sender import retry_after

LONGEST_PAUSE_SECONDS = 24 * 3600.0
UNNAMED_WAIT_SECONDS = 60.0
FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 8.0
_NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")
# larger numbers are moments (seconds or milliseconds since 1970), smaller ones are seconds from now
_A_MOMENT = 1_000_000_000.0
_IN_MILLISECONDS = 100_000_000_000.0
_RESETS = ("x-ratelimit-reset-after", "x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset")
_LEFT = ("x-ratelimit-remaining", "x-rate-limit-remaining", "ratelimit-remaining")


def asked_wait(status: int, headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return for how many seconds an answer asks to be left alone, at most a day; None when it does not ask.

    403 is how GitHub says that a limit is used up: with Retry-After, or with the time at which nothing left becomes something.
    """
    now = now or datetime.now(UTC)
    if status not in (403, 429, 503):
        return None
    seconds = retry_after(headers.get("Retry-After"), now)
    if seconds is None and (status == 429 or _used_up(headers)):
        seconds = next((wait for name in _RESETS if (wait := _until(headers.get(name), now)) is not None), None)
    return None if seconds is None else min(seconds, LONGEST_PAUSE_SECONDS)


def backoff(attempt: int) -> float:
    """Return the seconds to wait after the failed try `attempt` (from 1): doubling, with jitter."""
    whole = min(FIRST_BACKOFF_SECONDS * 2.0 ** min(attempt - 1, 10), LONGEST_BACKOFF_SECONDS)
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, protects nothing


def _used_up(headers: Mapping[str, str]) -> bool:
    return any(headers.get(name, "").strip() == "0" for name in _LEFT)


def _until(value: str | None, now: datetime) -> float | None:
    if value is None or not _NUMBER.fullmatch(value.strip()):
        return None
    number = float(value)
    if number >= _IN_MILLISECONDS:
        number /= 1000
    return max(0.0, number - now.timestamp()) if number >= _A_MOMENT else number
