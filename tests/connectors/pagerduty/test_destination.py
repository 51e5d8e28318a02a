"""Alerts that open and close at PagerDuty, and changes."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from core.http.door import BadAnswer, CallFailed, Throttled
from integrations.connectors.pagerduty.connector import PagerDuty
from integrations.connectors.pagerduty.fields import DESTINATION_FIELDS
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.contract.values import validate_options, validate_values
from integrations.models import Integration
from integrations.rehearsal import rehearse
from tests.connectors.contract import Context, DictMemory
from tests.connectors.door import TIMED_OUT, Answer, FakeDoor, answer
from tests.connectors.pagerduty.stub import KEY, faults
from tests.connectors.pagerduty.test_contract import ACCEPTED
from tests.connectors.told import GOLDEN_TYPES, digest, every_type, example, gate, golden, hostile_events, monsters

pytestmark = pytest.mark.once
DEFAULTS = {field.name: field.default for field in DESTINATION_FIELDS}


def made(*answers: Answer | Exception, key: str = KEY, **config: Any) -> Any:
    values, secrets = validate_values(PagerDuty, config, {"routing_key": key})
    door = FakeDoor(*(answers or (ACCEPTED,)), auth=PagerDuty.auth(values, secrets))
    return PagerDuty(Context(Integration().id, "Mine", values, secrets, door))


def sent(event: OutgoingEvent, memory: DictMemory | None = None, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return what PagerDuty got of an event, by path; held against its documentation on the way."""
    pagerduty = made()
    with contextlib.suppress(NothingToTell):
        assert pagerduty.send(event, DEFAULTS | options, DictMemory() if memory is None else memory).ok
    calls = [(call.url.removeprefix("https://events.pagerduty.com"), call) for call in pagerduty.door.calls]
    assert [faults(path, call.body) for path, call in calls] == [[] for _ in calls]
    return [(path, call.json()) for path, call in calls]


def later(event: OutgoingEvent, minutes: int, **more: Any) -> OutgoingEvent:
    return replace(event, timestamp=event.timestamp + timedelta(minutes=minutes), **more)


# --- What is sent -----------------------------------------------------------------------------------------------------


def test_what_is_sent_is_as_the_golden_files_show() -> None:
    shown = {name: example(name) for name in GOLDEN_TYPES} | {
        "digest": digest([gate(3), *every_type()][:9]),
        "huge": gate(5000, reasons=40),
    }
    for name, event in shown.items():
        ((path, told),) = sent(event)
        golden(Path(__file__).parent, f"{name}.json", {"path": path, "body": told | {"routing_key": "…"}})


def test_whatever_happens_is_told_within_the_limits() -> None:
    for event in (*every_type(), *monsters()):
        sent(event)
        sent(event, others="alert")


@settings(max_examples=40, deadline=None)
@given(hostile_events())
def test_hostile_events_are_told_within_the_limits(event: OutgoingEvent) -> None:
    sent(event, others="alert")


def test_the_recovery_resolves_what_the_failure_opened() -> None:
    memory = DictMemory()
    ((_, opened),) = sent(gate(3), memory)
    ((_, resolved),) = sent(later(example("gate.passed"), 5), memory)
    ((_, elsewhere),) = sent(example("gate.failed", ref="other"))
    assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == resolved["dedup_key"] != elsewhere["dedup_key"]
    assert opened["payload"]["severity"] == "critical"
    assert resolved.keys() == {"routing_key", "event_action", "dedup_key"}


def test_what_passes_again_is_not_resolved_again() -> None:
    memory, passed = DictMemory(), example("gate.passed")
    assert sent(passed, memory)
    assert sent(later(passed, -3), memory) == [], "one that is told late"
    assert sent(later(passed, 1), memory) == []
    assert sent(later(gate(1), -5), memory) == [], "a failure that is told late"
    assert sent(later(gate(1), 5), memory)
    assert sent(later(passed, 10), memory)


def test_below_the_floor_no_alert_is_opened() -> None:
    assert sent(example("gate.failed"), min_severity="critical") == []
    assert sent(gate(1), min_severity="critical")
    assert sent(example("gate.passed"), min_severity="critical"), "what resolves is always sent"
    assert sent(example("repository.pushed"), min_severity="critical", others="alert") == []


def test_other_events_become_what_was_chosen() -> None:
    pushed = example("repository.pushed")
    assert [path for path, _ in sent(pushed)] == ["/v2/change/enqueue"]
    ((_, told),) = sent(pushed, others="alert")
    assert (told["event_action"], told["payload"]["severity"]) == ("trigger", "info")
    assert sent(pushed, others="nothing") == []
    with pytest.raises(NothingToTell, match="is set to nothing"):
        made().send(pushed, DEFAULTS | {"others": "nothing"}, DictMemory())


def test_a_change_is_sent_once_and_not_with_the_key_of_an_orchestration() -> None:
    memory, pushed = DictMemory(), example("repository.pushed")
    assert len(sent(pushed, memory)) == 1
    assert sent(pushed, memory) == []
    refused = made(key="R" + KEY[1:]).send(pushed, DEFAULTS, DictMemory())
    assert (refused.ok, refused.permanent) == (False, True)
    assert "set “Other events” to nothing" in refused.error


def test_a_change_whose_call_was_cut_off_or_failed_is_sent_again() -> None:
    memory, pushed = DictMemory(), example("repository.pushed")
    with pytest.raises(CallFailed):
        made(TIMED_OUT).send(pushed, DEFAULTS, memory)
    killed = made()
    killed.door.request = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        killed.send(pushed, DEFAULTS, memory)
    after = made()
    outcome = after.send(pushed, DEFAULTS, memory)
    assert (outcome.ok, outcome.confirmed, len(after.door.calls)) == (True, True, 1)
    assert "maybe a second time" in outcome.details["change event"]
    assert sent(pushed, memory) == []


def test_a_change_that_somebody_else_sends_just_now_is_looked_at_again() -> None:
    memory, pushed = DictMemory(), example("repository.pushed")
    memory.reserve(f"change:{pushed.id}", "another delivery")
    outcome = made().send(pushed, DEFAULTS, memory)
    assert (outcome.ok, outcome.permanent, outcome.status) == (False, False, 409)


def test_its_own_incidents_are_not_told_to_it_again() -> None:
    assert sent(example("inbound.alert_changed", provider="pagerduty"), others="alert") == []
    assert sent(example("inbound.alert_changed"), others="alert")


# --- What PagerDuty answers -------------------------------------------------------------------------------------------


def test_an_invalid_event_is_refused_for_good_with_its_reason_and_without_the_key() -> None:
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": [f"'routing_key' {KEY} is wrong"]}
    with pytest.raises(BadAnswer) as caught:
        made(answer(said, 400)).send(gate(1), DEFAULTS, DictMemory())
    assert caught.value.permanent
    assert "Event object is invalid" in caught.value.message
    assert caught.value.message.endswith("Check the integration key and the region of the account.")
    assert KEY not in f"{caught.value.message} {caught.value.body!r}"


def test_what_passes_is_tried_again() -> None:
    with pytest.raises(Throttled) as throttled:
        made(answer({}, 429, Retry_After="7")).send(gate(1), DEFAULTS, DictMemory())
    assert throttled.value.retry_after == 7
    for status in (500, 503):
        with pytest.raises(BadAnswer) as caught:
            made(answer({}, status)).send(gate(1), DEFAULTS, DictMemory())
        assert not caught.value.permanent
    with pytest.raises(BadAnswer, match="without saying success"):
        made(answer({"status": "?"}, 202)).send(gate(1), DEFAULTS, DictMemory())


def test_the_region_chooses_the_address() -> None:
    european, own = made(region="eu"), made(region="other", address="https://proxy.example.com/pd/")
    for one in (european, own):
        one.send(gate(1), DEFAULTS, DictMemory())
    assert [one.door.calls[0].url for one in (european, own)] == [
        "https://events.eu.pagerduty.com/v2/enqueue",
        "https://proxy.example.com/pd/v2/enqueue",
    ]
    assert validate_options(PagerDuty, {}, config=own.config) == DEFAULTS


def test_a_preview_shows_the_alert_without_the_key() -> None:
    integration = Integration(type="pagerduty", name="Mine", config={"region": "us"}, credentials={"routing_key": KEY})
    (shown,) = rehearse(integration, DEFAULTS, gate(1)).requests
    assert (shown.url, json.loads(shown.body)["event_action"]) == ("https://events.pagerduty.com/v2/enqueue", "trigger")
    assert KEY not in repr(shown) + shown.readable
    assert "is set to nothing" in rehearse(integration, DEFAULTS | {"others": "nothing"}, example("repository.pushed")).note
