"""workflow_dispatch, held against GitHub's description of it, and its run followed to the end."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.errors import InvalidInput
from core.http.door import BadAnswer, CallFailed
from integrations.connectors.github.connector import GitHub
from integrations.contract.outbound import FollowUpStart, OutgoingEvent, Progress
from integrations.contract.schema import validate_options
from tests.connectors.github.rest_stub import Answer, Call
from tests.connectors.github.telling_kit import API, TOKEN, Teller, golden_events
from tests.connectors.told import every_type, example, monsters

pytestmark = pytest.mark.once
START = "POST /repos/{owner}/{repo}/actions/workflows/{workflow_id}/dispatches"
RUNS = "GET /repos/{owner}/{repo}/actions/workflows/{workflow_id}/runs"
RUN = "GET /repos/{owner}/{repo}/actions/runs/{run_id}"
GATE = "gate.failed"


def teller(**options: Any) -> Teller:
    return Teller({"action": "workflow_dispatch", "workflow": "security.yml", "repository": "acme/shop"} | options)


def run(number: int, **more: Any) -> dict[str, Any]:
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    link = f"https://github.com/acme/shop/actions/runs/{number}"
    return {"id": number, "run_number": 57, "status": "queued", "conclusion": None, "display_title": "Security", "html_url": link,
            "created_at": created, **more}  # fmt: skip


def polled(tell: Teller, start: FollowUpStart | None) -> Progress:
    assert start is not None
    return tell.connector().poll(start.url, start.memory)


def test_it_starts_the_workflow_on_the_events_branch_with_the_events_values() -> None:
    tell = teller(inputs={"what": "{repository}@{commit} {branch}", "event": "{event_type} {event_id}", "fixed": "yes"})
    event = example(GATE, ref="refs/heads/{commit}")
    outcome = tell(event)
    assert tell.bodies() == [{
        "ref": "{commit}", "return_run_details": True, "inputs": {
            "what": f"acme/shop@{event.data['commit']} {{commit}}", "event": f"gate.failed {event.id}", "fixed": "yes"},
    }]  # fmt: skip
    assert outcome.details == {"repository": "acme/shop", "workflow": "security.yml", "ref": "{commit}", "run": 1}
    assert outcome.follow_up is not None
    assert (outcome.follow_up.url, outcome.follow_up.label) == (f"{API}/repos/acme/shop/actions/runs/1", "run 1")


@pytest.mark.parametrize(
    ("options", "event", "ref"),
    [
        ({"ref": "v2"}, {}, "v2"),
        ({}, {"ref": "refs/pull/7/merge"}, "master"),
        ({}, {"ref": ""}, "master"),
        ({"repository": "acme/ops"}, {}, "master"),
    ],
)
def test_elsewhere_it_runs_on_the_default_branch(options: dict[str, str], event: dict[str, str], ref: str) -> None:
    tell = teller(**options)
    assert tell(example(GATE, **event)).details["ref"] == ref


def test_a_preview_asks_nothing_for_the_default_branch() -> None:
    tell = teller(repository="acme/ops")
    [request] = tell.connector().rehearse(example(GATE), tell.options) or []
    assert request.url == f"{API}/repos/acme/ops/actions/workflows/security.yml/dispatches"
    assert json.loads(request.body) == {"ref": "(the default branch)", "return_run_details": True}
    assert tell.connector().rehearse(example(GATE), {**tell.options, "ref": "main"}) is None
    assert tell.github.calls == []


def test_every_event_is_taken_by_github_with_any_values() -> None:
    inputs = {"a": "{branch}" * 99, "b": "🙈" * 500, "c": "{commit}{repository}"}
    tell = teller(inputs=inputs)
    events = [*every_type(), *monsters(), *(event for _, event in golden_events())]
    for number, event in enumerate(events):
        tell(replace(event, id=uuid.UUID(int=number)))
    assert tell.github.refused == []
    assert max(len(value) for body in tell.bodies() for value in body["inputs"].values()) == 1000


def test_delivered_then_run_57_then_passed() -> None:
    tell = teller()
    outcome = tell(example(GATE))
    tell.github.told[RUN] = lambda call: (200, run(1, status="in_progress"), {})
    found = polled(tell, outcome.follow_up)
    assert (found.result, found.label) == (None, "run #57")
    for conclusion, result in (("success", "passed"), ("failure", "failed"), ("timed_out", "timed out"), ("cancelled", "cancelled")):
        tell.github.told[RUN] = lambda call, said=conclusion: (200, run(1, status="completed", conclusion=said), {})
        found = polled(tell, outcome.follow_up)
        assert (found.result, found.label, found.link) == (result, "run #57", "https://github.com/acme/shop/actions/runs/1")
    assert tell.github.refused == []


def server(tell: Teller, *runs: dict[str, Any]) -> None:
    """Have GitHub be an Enterprise Server that names no run, and has these."""

    def start(call: Call) -> Answer:
        if "return_run_details" in call.body:
            return 422, {"message": 'Invalid request.\n\n"return_run_details" is not a permitted key.'}, {}
        return 204, None, {}

    tell.github.told[START] = start
    tell.github.told[RUNS] = lambda call: (200, {"total_count": len(runs), "workflow_runs": list(runs)}, {})


def test_a_server_that_names_no_run_is_asked_which_one_it_was() -> None:
    tell = teller()
    server(tell)
    outcome = tell(example(GATE))
    assert outcome.ok
    assert "run" not in outcome.details
    assert polled(tell, outcome.follow_up).result is None
    old = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    server(tell, run(9), run(8, created_at=old))
    found = polled(tell, outcome.follow_up)
    assert (found.result, found.label, found.memory["run_id"]) == (None, "run 9", 9)
    tell.github.told[RUN] = lambda call: (200, run(int(call.path["run_id"]), status="completed", conclusion="success"), {})
    assert outcome.follow_up is not None
    ended = tell.connector().poll(outcome.follow_up.url, found.memory)
    assert (ended.result, ended.link) == ("passed", "https://github.com/acme/shop/actions/runs/9")
    assert tell.github.refused == []


def test_of_several_runs_the_one_named_after_the_event_is_followed_and_else_none() -> None:
    tell = teller()
    server(tell, run(8), run(9))
    outcome = tell(example(GATE))
    assert polled(tell, outcome.follow_up).result == "unclear"
    server(tell, run(8), run(9, display_title=f"Security {example(GATE).id}"))
    assert polled(tell, outcome.follow_up).memory["run_id"] == 9


def killed_after(tell: Teller, *runs: dict[str, Any]) -> None:
    """Kill the process when GitHub has started the workflow; it has these runs since."""

    def kill(call: Call) -> Answer:
        tell.github.told.pop(START)
        raise KeyboardInterrupt

    tell.github.told[START] = kill
    with pytest.raises(KeyboardInterrupt):
        tell(example(GATE))
    tell.github.told[RUNS] = lambda call: (200, {"workflow_runs": list(runs)}, {})


def test_killed_between_call_and_note_it_finds_the_run_and_starts_no_second_one() -> None:
    tell = teller()
    killed_after(tell, run(5))
    outcome = tell(example(GATE))
    assert (outcome.ok, outcome.details["run"]) == (True, 5)
    assert tell(example(GATE)).details["run"] == 5
    assert len(tell.bodies()) == 1


def test_the_run_of_another_event_is_not_taken_for_this_ones() -> None:
    tell = teller()
    other: OutgoingEvent = replace(example(GATE), id=uuid.UUID(int=5))
    assert tell(other).details["run"] == 1
    killed_after(tell, run(1))
    tell.github.told[START] = lambda call: (200, {"workflow_run_id": 2, "html_url": "https://github.com/x"}, {})
    assert tell(example(GATE)).details["run"] == 2


def test_a_workflow_that_can_not_be_started_is_explained_and_forgotten() -> None:
    tell = teller()
    tell.github.told[START] = lambda call: (422, {"message": "Workflow does not have 'workflow_dispatch' trigger"}, {})
    with pytest.raises(BadAnswer, match=r"workflow security.yml on main in acme/shop \(422\).*does not have 'workflow_dispatch'"):
        tell(example(GATE))
    assert [key for key in tell.memory.kept if not key.endswith(":since")] == []
    tell.github.told[START] = lambda call: (502, {}, {})
    with pytest.raises((BadAnswer, CallFailed)):
        tell(example(GATE))
    assert len(tell.memory.kept) == 2


@pytest.mark.parametrize(
    ("inputs", "said"),
    [({"x": "{sha}"}, "{sha} is nothing that an event has"), ({str(n): "y" for n in range(26)}, "are 26; GitHub takes at most 25")],
)
def test_inputs_that_github_would_refuse_are_refused_when_the_webhook_is_saved(inputs: dict[str, str], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_options(GitHub, {"action": "workflow_dispatch", "workflow": "a.yml", "inputs": inputs}, config=TOKEN)
    assert said in str(caught.value.fields)
