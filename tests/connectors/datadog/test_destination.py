"""Events and metrics for Datadog."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from core.http.door import BadAnswer, SignInFailed, Throttled
from integrations.connectors.datadog import layout, metrics
from integrations.connectors.datadog.connector import Datadog
from integrations.connectors.datadog.fields import DESTINATION_FIELDS, FIELDS
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.contract.values import validate_values
from integrations.messages.message import message_of
from integrations.models import Integration
from integrations.rehearsal import rehearse
from tests.connectors.contract import Context, DictMemory
from tests.connectors.datadog.stub import EVENTS, KEY, SERIES, faults
from tests.connectors.door import TIMED_OUT, Answer, FakeDoor, answer
from tests.connectors.told import AT, GOLDEN_TYPES, digest, every_type, example, gate, golden, hostile_events, monsters

pytestmark = pytest.mark.once
OPTIONS = {field.name: field.default for field in DESTINATION_FIELDS if field.default} | {"send": "both", "tags": ["env:Production"]}
TAKEN = answer({"status": "ok"}, 202)


def made(*answers: Answer | Exception, **config: Any) -> Any:
    values, secrets = validate_values(Datadog, config, {"api_key": KEY})
    door = FakeDoor(*(answers or (TAKEN,)), auth=Datadog.auth(values, secrets))
    return Datadog(Context(Integration().id, "Mine", values, secrets, door))


def sent(event: OutgoingEvent, memory: DictMemory | None = None, **options: Any) -> dict[str, Any]:
    """Return what Datadog got of an event, by path; held against its client and documentation on the way."""
    datadog = made()
    assert datadog.send(event, OPTIONS | options, DictMemory() if memory is None else memory).ok
    calls = {call.url.removeprefix("https://api.datadoghq.com"): call for call in datadog.door.calls}
    assert len(calls) == len(datadog.door.calls)
    assert {path: faults(path, call.body) for path, call in calls.items()} == {path: [] for path in calls}
    assert all(call.headers["DD-API-KEY"] == KEY for call in calls.values())
    return {path: call.json() for path, call in calls.items()}


def test_what_is_sent_is_as_the_golden_files_show() -> None:
    shown = {name: example(name) for name in GOLDEN_TYPES} | {
        "digest": digest([gate(3), *every_type()][:9]),
        "huge": gate(5000, reasons=40),
    }
    shown |= {name: example(name) for name in ("build.completed", "finding.fixed")}
    for name, event in shown.items():
        message = message_of(event)
        told = {"event": layout.event(message, ["env:production"], AT), "series": metrics.series(event, message, ["env:production"], AT)}
        golden(Path(__file__).parent, f"{name}.json", told)


def test_whatever_happens_is_told_within_the_limits() -> None:
    for event in (*every_type(), *monsters()):
        assert EVENTS in sent(event)


@settings(max_examples=40, deadline=None)
@given(hostile_events())
def test_hostile_events_are_told_within_the_limits(event: OutgoingEvent) -> None:
    sent(replace(event, timestamp=datetime.now(UTC)))


def test_numbers_are_told_with_their_severities_those_with_none_as_well() -> None:
    told = sent(gate(2))[SERIES]["series"]
    found = {
        (one["metric"], next((tag for tag in one["tags"] if tag.startswith("severity:")), "")): one["points"][0]["value"] for one in told
    }
    assert (found["repoguard.gate", ""], found["repoguard.gate.broken_findings", ""]) == (0, 2)
    assert found["repoguard.findings.open", "severity:medium"] == 1200
    assert found["repoguard.findings.open", "severity:low"] == 0
    assert {"repository:acme/shop", "branch:main", "env:production"} <= set(told[0]["tags"])
    (passed,) = [one for one in sent(example("gate.passed"))[SERIES]["series"] if one["metric"] == "repoguard.gate"]
    assert passed["points"][0]["value"] == 1


def test_a_time_that_datadog_would_drop_is_replaced_or_left_out() -> None:
    now = datetime.now(UTC)
    for ago, dated, kept in ((0.5, True, True), (2, True, False), (20, False, False)):
        told = sent(replace(gate(1), timestamp=now - timedelta(hours=ago)))
        assert ("date_happened" in told[EVENTS]) is dated
        at = told[SERIES]["series"][0]["points"][0]["timestamp"]
        assert (at == int((now - timedelta(hours=ago)).timestamp())) is kept


def test_only_what_was_chosen_is_sent() -> None:
    assert list(sent(gate(1), send="events")) == [EVENTS]
    assert list(sent(gate(1), send="metrics")) == [SERIES]
    assert list(sent(example("repository.pushed"), send="both")) == [EVENTS]
    for counted_elsewhere in ("gate.changed", "finding.opened.single", "build.failed", "custom.example"):
        with pytest.raises(NothingToTell, match="no metrics"):
            made().send(example(counted_elsewhere), OPTIONS | {"send": "metrics"}, DictMemory())


def test_each_half_is_sent_once_however_often_it_is_tried() -> None:
    memory = DictMemory()
    with pytest.raises(BadAnswer):
        made(TAKEN, answer({}, 500)).send(gate(1), OPTIONS, memory)
    assert list(sent(gate(1), memory)) == [EVENTS]
    assert sent(gate(1), memory) == {}


def test_of_what_was_cut_off_the_event_is_sent_again_and_numbers_are_not() -> None:
    for wanted, words, calls in (("events", "maybe a second time", 1), ("metrics", "not known: an earlier try was cut off", 0)):
        memory, options = DictMemory(), OPTIONS | {"send": wanted}
        with pytest.raises(type(TIMED_OUT)):
            made(TIMED_OUT).send(gate(1), options, memory)
        killed = made()
        killed.door.request = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            killed.send(gate(1), options, memory)
        after = made(TAKEN)
        outcome = after.send(gate(1), options, memory)
        assert (outcome.ok, outcome.confirmed, len(after.door.calls)) == (True, wanted == "events", calls)
        assert words in str(outcome.details)
        assert made().send(gate(1), options, memory).ok, "and that was the last of it"


def test_what_somebody_else_sends_just_now_is_looked_at_again() -> None:
    memory = DictMemory()
    memory.reserve(f"event:{gate(1).id}", "another delivery")
    outcome = made().send(gate(1), OPTIONS, memory)
    assert (outcome.ok, outcome.permanent, outcome.status) == (False, False, 409)


def test_build_metrics_leave_out_what_is_not_known() -> None:
    def names(**data: Any) -> list[str]:
        return [one["metric"] for one in sent(example("build.completed", **data), send="metrics")[SERIES]["series"]]

    assert names() == ["repoguard.build.success", "repoguard.build.duration"]
    assert names(status="cancelled") == ["repoguard.build.duration"]
    assert names(duration_seconds=None) == ["repoguard.build.success"]


def test_refusals_are_explained_and_what_passes_is_tried_again() -> None:
    cases = (
        (400, "text: too long", "refused what was sent (400): text: too long."),
        (403, "Forbidden", "the site is that of its organisation"),
    )
    for status, said, sentence in cases:
        with pytest.raises(BadAnswer) as caught:
            made(answer({"errors": [f"{said} {KEY}" if status == 403 else said]}, status)).send(gate(1), OPTIONS, DictMemory())
        assert (caught.value.permanent, sentence in caught.value.message, KEY in caught.value.message) == (True, True, False)
    with pytest.raises(BadAnswer) as failed:
        made(answer({}, 502)).send(gate(1), OPTIONS, DictMemory())
    assert not failed.value.permanent
    with pytest.raises(Throttled):
        made(answer({}, 429, X_RateLimit_Reset="7")).send(gate(1), OPTIONS, DictMemory())
    with pytest.raises(BadAnswer, match="names errors: \\['no such metric'\\]"):
        made(answer({"errors": ["no such metric"]}, 202)).send(gate(1), OPTIONS, DictMemory())


def test_the_check_asks_for_the_key_at_the_site() -> None:
    datadog = made(answer({"valid": True}), site="datadoghq.eu")
    assert datadog.check().message == "Datadog knows this API key."
    assert datadog.door.calls[0].url == "https://api.datadoghq.eu/api/v1/validate"
    for said, error in (
        (answer({"errors": ["Forbidden"]}, 403), "the site"),
        (answer({"valid": False}), "does not call this API key valid"),
    ):
        with pytest.raises(BadAnswer, match=error):
            made(said).check()
    with pytest.raises(SignInFailed):
        made(answer({}, 401)).check()
    assert len(next(field for field in FIELDS if field.name == "site").choices) == 10


def test_a_preview_shows_event_and_metrics_without_the_key() -> None:
    integration = Integration(type="datadog", name="Mine", config={"site": "datadoghq.eu"}, credentials={"api_key": KEY})
    shown = rehearse(integration, OPTIONS, gate(1)).requests
    assert [one.url for one in shown] == [f"https://api.datadoghq.eu{path}" for path in (SERIES, EVENTS)]
    assert KEY not in repr(shown)
