"""Commit statuses, held against GitHub's description of them: the newest state is the last that is sent."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from core.errors import InvalidInput
from integrations.contract.outbound import NothingToTell, OutgoingEvent
from integrations.contract.outbound import Outcome as Told
from tests.connectors.github.rest_stub import Call
from tests.connectors.github.telling_kit import SHA, Teller, golden_events
from tests.connectors.told import AT, HOSTILE, every_type, example, golden, hostile_events, monsters

pytestmark = pytest.mark.once
OPERATION = "POST /repos/{owner}/{repo}/statuses/{sha}"


def teller(**options: Any) -> Teller:
    return Teller({"action": "commit_status"} | options)


def at(seconds: int, type: str, **data: Any) -> OutgoingEvent:
    """Return an event so long after the first; each is a delivery of its own."""
    found = example(type, **data)
    return OutgoingEvent(
        **{**found.__dict__, "timestamp": AT + timedelta(seconds=seconds), "delivery_id": None, "id": uuid.UUID(int=seconds)}
    )


def tried(tell: Teller, event: OutgoingEvent) -> Told | None:
    """Return what became of it, None where there is nothing to tell."""
    try:
        return tell(event)
    except (InvalidInput, NothingToTell):
        return None


def states(tell: Teller) -> list[str]:
    assert tell.github.refused == []
    return [body["state"] for body in tell.github.made(OPERATION)]


def test_each_event_about_a_commit_becomes_its_state() -> None:
    told: dict[str, Any] = {}
    for name, event in golden_events():
        tell = teller()
        if tried(tell, event) is not None:
            told[name] = tell.github.made(OPERATION)
    golden(Path(__file__).parent, "statuses.json", told)
    assert {name: [one["state"] for one in bodies] for name, bodies in told.items()} == {
        "gate.failed": ["failure"], "gate.huge": ["failure"], "gate.passed": ["success"], "scan.started": ["pending"],
        "scan.completed": ["success"], "scan.failed": ["error"],
    }  # fmt: skip


def test_a_scan_that_is_complete_in_part_does_not_pass() -> None:
    tell = teller()
    tell(example("scan.completed", status="partial"))
    [body] = tell.bodies()
    assert (body["state"], body["description"][:24]) == ("error", "Scan completed in part; ")


def test_whatever_happens_stays_within_githubs_limits() -> None:
    texts = [example("scan.failed", error=HOSTILE * 9), example("gate.failed", reasons=["🙈" * 200])]
    events = [*every_type(), *monsters(), *texts]
    told = [tell for event in events if tried(tell := teller(), event)]
    assert all(tell.github.refused == [] for tell in told)
    described = [body["description"] for tell in told for body in tell.bodies()]
    assert max(map(len, described)) == 140
    assert not any(ord(one) > 0xFFFF for text in described for one in text)


@settings(max_examples=30, deadline=None)
@given(event=hostile_events())
def test_hostile_events_are_told_or_refused(event: OutgoingEvent) -> None:
    tell = teller()
    tried(tell, event)
    assert tell.github.refused == []


def test_an_older_event_that_is_told_late_does_not_put_the_newer_state_aside() -> None:
    tell = teller()
    assert tell(at(2, "gate.failed")).details["state"] == "failure"
    with pytest.raises(NothingToTell, match="of a newer event"):
        tell(at(1, "scan.started"))
    assert states(tell) == ["failure"]
    assert tell(at(3, "scan.started")).details["state"] == "pending"
    assert states(tell) == ["failure", "pending"]


def test_the_same_state_is_sent_once_and_contexts_stand_by_themselves() -> None:
    tell = teller()
    for seconds, type in ((1, "gate.failed"), (1, "gate.changed"), (2, "gate.failed"), (2, "gate.failed")):
        tried(tell, at(seconds, type))
    assert states(tell) == ["failure"]
    tell.options["context"] = "RepoGuard/Gate"  # to GitHub the same as in small letters
    assert tried(tell, at(3, "gate.failed")) is None
    assert states(tell) == ["failure"]
    tell.options["context"] = "repoguard/strict"
    tell(at(3, "gate.failed"))
    assert [body["context"] for body in tell.bodies()] == ["repoguard/gate", "repoguard/strict"]


def test_a_state_that_became_old_while_it_was_sent_is_followed_by_the_newer_one() -> None:
    tell = teller()

    def meanwhile(call: Call) -> None:
        tell.github.told.clear()
        tell(at(2, "gate.failed"))  # by another worker, which is the faster one

    tell.github.told[OPERATION] = meanwhile  # type: ignore[assignment]
    assert tell(at(1, "scan.started")).details["state"] == "pending"
    # GitHub took the older one last as far as anybody knows
    assert states(tell) == ["pending", "failure", "failure"]


def test_killed_between_call_and_note_it_sends_the_newest_state_again() -> None:
    tell = teller()

    def killed(call: Call) -> None:
        tell.github.told.clear()
        tell(at(2, "gate.failed"))
        raise KeyboardInterrupt

    tell.github.told[OPERATION] = killed  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        tell(at(1, "scan.started"))
    assert states(tell)[-1] == "failure"
    assert tell(at(1, "scan.started")).ok
    assert states(tell) == ["pending", "failure", "failure"]
    assert tried(tell, at(1, "scan.started")) is None
    assert len(states(tell)) == 3


@pytest.mark.parametrize(
    ("commit", "said"), [("", "names no commit; GitHub wants all 40 digits"), (SHA[:12], "names the commit as 59b20b8d5c6f")]
)
def test_an_event_without_a_whole_commit_is_refused_with_the_way_out(commit: str, said: str) -> None:
    tell = teller()
    with pytest.raises(InvalidInput, match=said):
        tell(example("gate.failed", commit=commit))
    assert tell.github.calls == []


def test_what_says_nothing_of_a_commit_changes_nothing() -> None:
    tell = teller(repository="acme/shop")
    for event, said in (
        (example("scan.completed", gate="failed"), "gate's own event"),
        (example("finding.opened"), "not changed by finding.opened"),
    ):
        with pytest.raises(NothingToTell, match=said):
            tell(event)
    assert "can be read" in tell(example("webhook.test")).details["note"]
    assert [call.operation for call in tell.github.calls] == ["GET /repos/{owner}/{repo}"]
