"""Telling what must not be told twice, and states of which the last one counts, to platforms that know neither by themselves.

Both are about `CallDestination.send`, which may run twice for an event, be killed at any line, and run beside that of another event.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from integrations.contract.outbound import Memory, NothingToTell, Outcome, OutgoingEvent, Remembered, Reserved

State = Mapping[str, Any]
_DONE = "told"
_MOST_CORRECTIONS = 5


class Once(StrEnum):
    """What became of something that is to be made once, in words for a log."""

    NOW = "done"
    BEFORE = "done before"
    """An earlier try made it."""
    AGAIN = "done, maybe a second time: an earlier try was cut off"
    UNKNOWN = "not known: an earlier try was cut off"
    """An earlier try was cut off in the middle; it is not made a second time."""
    BUSY = "busy"
    """Somebody else is at it: return `busy()`."""


def busy(sentence: str) -> Outcome:
    """Return that another delivery is at the same just now: this one is tried again by the webhook's schedule.

    A conflict with itself says nothing against the platform, so neither is the webhook held nor does its breaker count it.
    """
    return Outcome(ok=False, error=sentence, status=409)


def once(memory: Memory, key: str, event: OutgoingEvent, make: Callable[[], object], *, else_none: bool = False) -> Once:
    """Make something under a key once.

    A call that fails, or is not answered, may be tried again. After one that was cut off (its process was killed) nobody knows, and it is
    made again: one too many says less that is wrong than none. With `else_none` it isn't: what is added up must not be counted twice.
    """
    found = memory.reserve(key, event.holder)
    if found in (Reserved.MADE, Reserved.BUSY):
        return Once.BEFORE if found is Reserved.MADE else Once.BUSY
    if found is Reserved.AGAIN and else_none:
        return Once.UNKNOWN
    try:
        make()
    except Exception:
        memory.forget(key)
        raise
    memory.put(key, _DONE)
    return Once.NOW if found is Reserved.FIRST else Once.AGAIN


def order_of(event: OutgoingEvent) -> str:
    """Return the place of an event among those of its subject, which sorts as text."""
    return f"{event.timestamp:%Y-%m-%dT%H:%M:%S.%fZ} {event.id}"


def tell_latest(memory: Memory, key: str, event: OutgoingEvent, state: State, tell: Callable[[State], object]) -> None:
    """Tell the state that an event leaves behind under a key, so that in the end the latest one stands there.

    `tell` is called with a state, plain JSON, and may be called twice with the same. Raises NothingToTell for an event that is older than
    what was told already, and whatever `tell` raises.
    """
    order = order_of(event)
    kept = memory.latest(key, order, state)
    if kept.external_id > order:
        if event.attempt > 1 and kept.data != state:
            # an earlier try of this one, of which no answer came, may have arrived after the later one
            _settle(memory, key, kept, tell)
        raise NothingToTell("something later about the same was told already, and what is older must not put it aside.")
    _settle(memory, key, Remembered(order, state), tell)


def _settle(memory: Memory, key: str, wanted: Remembered, tell: Callable[[State], object]) -> None:
    """Tell a state, then what came to be the latest meanwhile: two tries at once may arrive in either order."""
    for _ in range(_MOST_CORRECTIONS):
        tell(wanted.data)
        found = memory.recall(key)
        if found is None or found.external_id <= wanted.external_id or found.data == wanted.data:
            return
        wanted = found
