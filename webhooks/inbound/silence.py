"""Says whether a source is silent: by its declared threshold, or compared with the same hours of the same weekdays of past weeks.

Traffic that rests at night and over the weekend rested then in past weeks, too, and so raises no alarm.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

WEEK = timedelta(days=7)
WEEKS = 4
FEWEST_WEEKS = 2
EXPECTED = 15
"""So many requests in the same hours of past weeks: with as many expected, none at all is no chance, even where they come in bursts."""
SHORTEST = timedelta(minutes=30)
"""A silence below that is not judged."""

Count = Callable[[datetime, datetime, int], int]
"""How many requests came in [since, until), counted up to a limit."""


def is_silent(now: datetime, first: datetime | None, last: datetime | None, threshold: int | None, count: Count) -> bool:
    """Say whether a source that received first and last at these times is silent now.

    `threshold` is in seconds: 0 is never, None is learned. Who never sent anything is not silent: it was not set up yet.
    """
    if first is None or last is None or threshold == 0:
        return False
    if threshold is not None:
        return now - last >= timedelta(seconds=threshold)
    return _differs_from_past_weeks(now, first, last, count)


def _differs_from_past_weeks(now: datetime, first: datetime, last: datetime, count: Count) -> bool:
    # silent for a week, every past week counts whole
    silence = min(now - last, WEEK)
    weeks = [week for week in range(1, WEEKS + 1) if now - week * WEEK - silence >= first and now - week * WEEK <= last]
    if silence < SHORTEST or len(weeks) < FEWEST_WEEKS:
        return False
    busy = sum(count(now - week * WEEK - silence, now - week * WEEK, EXPECTED) >= EXPECTED for week in weeks)
    # of three weeks or more one may have been a holiday
    return busy >= (len(weeks) - 1 if len(weeks) > FEWEST_WEEKS else len(weeks))
