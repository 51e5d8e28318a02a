"""What is told once, and states of which the last one counts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.http.door import CallFailed
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.contract.telling import Once, once, order_of, tell_latest
from tests.connectors.contract import NOW, DictMemory, event

pytestmark = pytest.mark.once


class Killed(BaseException):
    """The process ends here."""


def at(minutes: int, **more: Any) -> OutgoingEvent:
    return event(timestamp=NOW + timedelta(minutes=minutes), delivery_id=uuid.UUID(int=minutes + 1), **more)


def fails(error: BaseException) -> Any:
    def make() -> None:
        raise error

    return make


class Platform:
    """Keeps the state that it heard last."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []
        self.meanwhile: Any = None

    def tell(self, state: Mapping[str, Any]) -> None:
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        self.heard.append(dict(state))


def test_what_was_made_is_not_made_again() -> None:
    memory, made = DictMemory(), []
    assert [once(memory, "k", at(0), lambda: made.append(1)) for _ in range(2)] == [Once.NOW, Once.BEFORE]
    assert made == [1]


def test_a_failed_call_is_tried_again_and_one_that_was_cut_off_as_is_wished() -> None:
    memory, made = DictMemory(), []
    with pytest.raises(CallFailed):
        once(memory, "k", at(0), fails(CallFailed("No answer.")))
    with pytest.raises(Killed):
        once(memory, "k", at(0), fails(Killed()))
    assert once(memory, "k", at(1), lambda: made.append(1)) is Once.BUSY
    assert once(memory, "k", at(0), lambda: made.append(1), else_none=True) is Once.UNKNOWN
    assert made == []
    assert once(memory, "k", at(0), lambda: made.append(1)) is Once.AGAIN
    assert once(memory, "k", at(0), lambda: made.append(1), else_none=True) is Once.BEFORE
    assert made == [1]


def test_an_older_state_does_not_put_a_newer_one_aside() -> None:
    memory, platform = DictMemory(), Platform()
    tell_latest(memory, "k", at(2), {"is": "resolved"}, platform.tell)
    with pytest.raises(NothingToTell, match="something later"):
        tell_latest(memory, "k", at(1), {"is": "open"}, platform.tell)
    assert platform.heard == [{"is": "resolved"}]


def test_a_state_that_arrives_after_a_newer_one_is_put_right() -> None:
    memory, platform = DictMemory(), Platform()
    platform.meanwhile = lambda: tell_latest(memory, "k", at(2), {"is": "resolved"}, platform.tell)
    tell_latest(memory, "k", at(1), {"is": "open"}, platform.tell)
    assert platform.heard == [{"is": "resolved"}, {"is": "open"}, {"is": "resolved"}]


def test_a_try_that_was_killed_after_it_was_overtaken_is_put_right_by_the_next() -> None:
    memory, platform = DictMemory(), Platform()

    def overtaken(state: Mapping[str, Any]) -> None:
        tell_latest(memory, "k", at(2), {"is": "resolved"}, platform.tell)
        platform.tell(state)
        raise Killed

    with pytest.raises(Killed):
        tell_latest(memory, "k", at(1), {"is": "open"}, overtaken)
    assert platform.heard[-1] == {"is": "open"}
    with pytest.raises(NothingToTell):
        tell_latest(memory, "k", at(1, attempt=2), {"is": "open"}, platform.tell)
    assert platform.heard[-1] == {"is": "resolved"}


def test_a_killed_try_tells_its_state_the_next_time() -> None:
    memory, platform = DictMemory(), Platform()
    with pytest.raises(Killed):
        tell_latest(memory, "k", at(1), {"is": "open"}, lambda _: fails(Killed())())
    tell_latest(memory, "k", at(1, attempt=2), {"is": "open"}, platform.tell)
    assert platform.heard == [{"is": "open"}]


def test_orders_sort_as_times_do() -> None:
    early, late = at(0), at(1)
    whole = replace(early, timestamp=NOW.replace(microsecond=0))
    part = replace(early, timestamp=NOW.replace(microsecond=5))
    assert order_of(early) < order_of(late)
    assert order_of(whole) < order_of(part)
