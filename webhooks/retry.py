"""When a failed delivery is tried again. Pure; all times in seconds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.errors import InvalidInput

# before attempts 2 to 10, after one at once: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: 75 h 35 min in all
DEFAULT_SCHEDULE: tuple[float, ...] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MAX_RETRIES = 30
LONGEST_DELAY = 7 * 86_400
_KEYS = {"schedule", "max_attempts"}
_LOWEST_JITTER, _JITTER = 0.9, 0.2


def schedule_of(config: dict[str, Any] | None) -> tuple[float, ...]:
    """Return the delays before the attempts after the first, for a valid retry_config.

    `max_attempts` cuts the schedule short or repeats its last delay; without a `schedule` it does so with the default one.
    """
    if not config:
        return DEFAULT_SCHEDULE
    given = config.get("schedule")
    schedule: tuple[float, ...] = DEFAULT_SCHEDULE if given is None else tuple(given)
    attempts: int | None = config.get("max_attempts")
    if attempts is None:
        return schedule
    return schedule[: attempts - 1] + schedule[-1:] * (attempts - 1 - len(schedule))


def delay_after(step: int, schedule: tuple[float, ...], random: Callable[[], float]) -> float | None:
    """Return the delay after `step` attempts of this cycle (1 after the first), spread by ±10 %; None when none is left.

    `random` returns a number of at least 0 and below 1. The spread keeps a recovering endpoint from being hit by all at once.
    """
    place = max(step, 1) - 1
    if place >= len(schedule):
        return None
    return schedule[place] * (_LOWEST_JITTER + _JITTER * random())


def check_retry_config(config: object) -> dict[str, Any] | None:
    """Return a valid retry_config (None for the default); raises InvalidInput, naming what is wrong."""
    if config is None or config == {}:
        return None
    if not isinstance(config, dict):
        raise _invalid('must be an object such as {"schedule": [5, 300, 3600]}.')
    if unknown := sorted(set(config) - _KEYS):
        raise _invalid(f"{', '.join(map(repr, unknown))[:100]} is not known; it takes schedule (seconds) and max_attempts.")
    schedule, attempts = config.get("schedule"), config.get("max_attempts")
    if schedule is not None:
        _check_schedule(schedule)
    if attempts is not None:
        if not _is_number(attempts) or attempts != int(attempts) or not 1 <= attempts <= MAX_RETRIES + 1:
            raise _invalid(f"max_attempts must be a whole number from 1 to {MAX_RETRIES + 1}.")
        if attempts > 1 and schedule == []:
            raise _invalid("an empty schedule means one attempt; leave max_attempts out, or give the schedule a delay.")
        config = config | {"max_attempts": int(attempts)}
    return {key: value for key, value in config.items() if value is not None} or None


def _check_schedule(schedule: object) -> None:
    if not isinstance(schedule, list) or len(schedule) > MAX_RETRIES:
        raise _invalid(f"schedule must be a list of at most {MAX_RETRIES} delays in seconds; an empty list means no retry.")
    for place, delay in enumerate(schedule):
        if not _is_number(delay) or not 1 <= delay <= LONGEST_DELAY:
            raise _invalid(f"schedule[{place}] must be a number of seconds from 1 to {LONGEST_DELAY} (seven days).")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _invalid(sentence: str) -> InvalidInput:
    return InvalidInput.of("retry_config", sentence)
