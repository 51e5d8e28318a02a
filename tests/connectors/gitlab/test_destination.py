"""Events that run pipelines and set statuses at GitLab, through the real door, against a stub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from core.errors import InvalidInput
from core.http.door import BadAnswer
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import build_connector
from integrations.connectors.gitlab import statuses
from integrations.connectors.gitlab.connector import GitLab as Connector
from integrations.contract.outbound import NothingToTell, Outcome, OutgoingEvent
from integrations.contract.schema import validate_options, validate_values
from integrations.contract.telling import order_of
from integrations.models import Integration
from integrations.rehearsal import rehearse
from tests.connectors import told
from tests.connectors.contract import DictMemory, fuzz
from tests.connectors.gitlab.stub import ACCESS, PROJECT, TRIGGER, GitLab, running

pytestmark = [pytest.mark.django_db, pytest.mark.once]
SHA = told.example("gate.failed").data["commit"]
RUN: dict[str, Any] = {"action": "pipeline", "project": "acme/shop"}
STATUS: dict[str, Any] = {"action": "commit_status", "project": "acme/shop"}


@pytest.fixture
def gitlab(settings: Any) -> Iterator[GitLab]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with running() as state:
        yield state


def connector(gitlab: GitLab, **credentials: str) -> Connector:
    secret = {"access_token": ACCESS, "trigger_token": TRIGGER} | credentials
    config, kept = validate_values(Connector, {"base_url": gitlab.base}, {name: value for name, value in secret.items() if value})
    row = Integration(name="GitLab", type="gitlab", category="development", config=config, credentials=kept)
    made = build_connector(row, CallPurpose.DESTINATION)
    assert isinstance(made, Connector)
    return made


def send(gitlab: GitLab, event: OutgoingEvent, given: dict[str, Any], memory: DictMemory | None = None, **credentials: str) -> Outcome:
    options = validate_options(Connector, given, config={})
    return connector(gitlab, **credentials).send(event, options, memory or DictMemory())


def at(kind: str, minutes: int, **more: Any) -> OutgoingEvent:
    return told.outgoing(kind, dict(told.example(kind).data), timestamp=told.AT + timedelta(minutes=minutes), **more)


def explained(gitlab: GitLab, given: dict[str, Any], event: OutgoingEvent | None = None, **credentials: str) -> str:
    with pytest.raises(BadAnswer) as caught:
        send(gitlab, event or told.example("gate.failed"), given, **credentials)
    assert caught.value.permanent
    return caught.value.message


# --- statuses ---------------------------------------------------------------------------------------------------------


def layout(event: OutgoingEvent) -> dict[str, str] | str:
    try:
        return statuses.layout(event, "repoguard/gate")
    except NothingToTell as nothing:
        return nothing.reason


def test_statuses_are_as_they_were() -> None:
    events = {kind: told.example(kind) for kind in (*told.GOLDEN_TYPES, "gate.changed")}
    events |= {"digest": told.digest([told.example("gate.failed")]), "huge": told.gate(10**6)}
    told.golden(Path(__file__).parent, "statuses.json", {name: layout(event) for name, event in events.items()})


def checked(event: OutgoingEvent) -> None:
    status = layout(event)
    if isinstance(status, str):
        assert status.endswith(".")
        return
    assert status["state"] in ("pending", "running", "success", "failed", "canceled")
    assert 0 < len(status["description"]) <= 255
    assert "\n" not in status["description"]
    assert len(status.get("target_url", "https://")) <= 255
    assert status.get("target_url", "https://").startswith(("https://", "http://"))


def test_every_status_is_one_that_gitlab_takes() -> None:
    for event in (*told.every_type(), *told.monsters()):
        checked(event)


@fuzz
@given(event=told.hostile_events())
def test_a_hostile_event_makes_a_status_that_gitlab_takes(event: OutgoingEvent) -> None:
    checked(event)


def test_a_gate_becomes_the_status_of_its_commit(gitlab: GitLab) -> None:
    memory = DictMemory()
    for kind, minutes, state in (("scan.started", 0, "running"), ("gate.failed", 1, "failed"), ("gate.passed", 2, "success")):
        outcome = send(gitlab, at(kind, minutes), STATUS, memory)
        assert (outcome.ok, outcome.status, gitlab.state) == (True, 201, state)
    assert {one["sha"] for one in gitlab.statuses} == {SHA}
    (_, path, headers, _) = gitlab.asked[0]
    assert path == f"{PROJECT}/statuses/{SHA}"
    assert headers["private-token"] == ACCESS


def test_a_scan_that_no_gate_decides_about_ends_what_its_start_began(gitlab: GitLab) -> None:
    for more, state in (({}, "success"), ({"status": "partial"}, "failed")):
        assert send(gitlab, told.example("scan.completed", **more), STATUS).ok
        assert gitlab.state == state
    assert "gate's own event" in nothing(gitlab, told.example("scan.completed", gate="failed"), STATUS)


def test_the_same_state_again_is_a_success(gitlab: GitLab) -> None:
    assert send(gitlab, at("gate.failed", 0), STATUS).ok
    again = send(gitlab, at("gate.failed", 1), STATUS)
    assert (again.ok, again.details["note"]) == (True, "GitLab had this state already.")


def test_an_older_event_puts_no_newer_state_aside(gitlab: GitLab) -> None:
    memory = DictMemory()
    send(gitlab, at("gate.passed", 5), STATUS, memory)
    assert "something later" in nothing(gitlab, at("gate.failed", 1), STATUS, memory)
    assert gitlab.state == "success"
    gitlab.statuses.append({"sha": SHA, "name": "repoguard/gate", "state": "failed"})  # the older one's first try, which was killed
    nothing(gitlab, at("gate.failed", 1, attempt=2), STATUS, memory)
    assert gitlab.state == "success"


def test_a_newer_state_that_came_while_an_older_one_was_sent_is_told_again(gitlab: GitLab) -> None:
    memory, newer = DictMemory(), at("gate.passed", 5)
    key = f"status:acme/shop:{SHA}:repoguard/gate"
    gitlab.meanwhile = lambda: memory.replace(key, order_of(newer), statuses.layout(newer, "repoguard/gate"))
    assert send(gitlab, at("gate.failed", 1), STATUS, memory).ok
    assert [one["state"] for one in gitlab.statuses] == ["failed", "success"]


def nothing(gitlab: GitLab, event: OutgoingEvent, given: dict[str, Any], memory: DictMemory | None = None) -> str:
    with pytest.raises(NothingToTell) as caught:
        send(gitlab, event, given, memory)
    return caught.value.reason


def test_what_says_nothing_of_a_commit_is_skipped_and_says_so(gitlab: GitLab) -> None:
    no_project = {"action": "commit_status"}
    for event, wanted, words in (
        (told.example("build.failed"), STATUS, "only scan.started"),
        (told.example("gate.failed", commit=""), STATUS, "names no full commit"),
        (told.example("gate.failed"), no_project, "is at github, and the webhook names no project"),
        (told.example("scan.started", repository=""), no_project, "names no repository"),
    ):
        assert words in nothing(gitlab, event, wanted)
    assert gitlab.asked == []
    assert send(gitlab, told.example("webhook.test"), no_project).details["note"].startswith("Signed in to GitLab as project_1_bot. A test")
    assert "shows the project" in send(gitlab, told.example("webhook.test"), STATUS).details["note"]
    assert "knows no project other" in explained(gitlab, STATUS | {"project": "other"}, told.example("webhook.test"))
    assert send(gitlab, told.example("gate.failed", provider="gitlab", commit=SHA.upper()), no_project).ok
    assert (gitlab.statuses[-1]["sha"], gitlab.state) == (SHA, "failed")


def test_refusals_of_statuses_are_explained(gitlab: GitLab) -> None:
    assert "knows no status of the commit" in explained(gitlab, STATUS | {"project": "other"})
    gitlab.locked = True
    outcome = send(gitlab, told.example("gate.failed"), STATUS)
    assert (outcome.ok, outcome.permanent, outcome.status) == (False, False, 409)
    assert "no access token" in send(gitlab, told.example("gate.failed"), STATUS, access_token="").error


# --- pipelines --------------------------------------------------------------------------------------------------------


def test_an_event_runs_a_pipeline_that_is_followed(gitlab: GitLab) -> None:
    given = RUN | {"variables": {"RESULT": "{result} of {repository}"}, "inputs": {"deep": "true", "level": "3", "name": "{commit}"}}
    outcome = send(gitlab, told.example("gate.failed"), given)
    ((_, _, headers, body),) = gitlab.asked
    assert "private-token" not in headers
    assert body == {
        "token": TRIGGER, "ref": "main", "inputs": {"deep": True, "level": 3, "name": SHA},
        "variables": {"RESULT": "failed of acme/shop", "REPOGUARD_EVENT": str(told.ID)},
    }  # fmt: skip
    follow = outcome.follow_up
    assert follow is not None
    assert (follow.label, follow.link) == ("pipeline #47", "https://gitlab.example.com/acme/shop/-/pipelines/47")
    assert connector(gitlab).poll(follow.url, follow.memory).result is None
    for status, word in (("success", "passed"), ("failed", "failed"), ("canceled", "cancelled"), ("skipped", "skipped"), ("manual", None)):
        gitlab.pipelines[0]["status"] = status
        assert connector(gitlab).poll(follow.url, follow.memory).result == word
    logged = str(list(RequestLog.objects.values()))
    assert TRIGGER not in logged
    assert ACCESS not in logged


def test_without_an_access_token_a_pipeline_is_accepted_and_not_followed(gitlab: GitLab) -> None:
    outcome = send(gitlab, told.example("gate.failed"), RUN, access_token="")
    assert (outcome.ok, outcome.confirmed, outcome.follow_up) == (True, False, None)


@pytest.mark.parametrize("sees", [True, False])
def test_killed_between_call_and_note_it_runs_no_second_pipeline_where_that_can_be_seen(gitlab: GitLab, sees: bool) -> None:
    memory, event = DictMemory(), told.example("gate.failed")
    send(gitlab, told.outgoing("gate.failed", dict(event.data), id=told.uuid.UUID(int=5)), RUN)
    send(gitlab, event, RUN)
    memory.reserve(f"run:{event.id}", event.holder)  # all that was noted
    gitlab.shows_variables = sees
    outcome = send(gitlab, event, RUN, memory)
    assert outcome.ok
    assert outcome.details["pipeline"] == (48 if sees else 49)
    assert ("could not be looked up" in outcome.details["note"]) is not sees


def test_refusals_of_pipelines_are_explained(gitlab: GitLab) -> None:
    assert "must be a pipeline trigger token of that very project" in explained(gitlab, RUN, trigger_token="another-token")
    assert "Reference not found" in explained(gitlab, RUN | {"ref": "gone"})
    gitlab.allows_variables = False
    assert "switch off “Send the variable" in explained(gitlab, RUN)
    assert send(gitlab, told.example("gate.failed"), RUN | {"mark": False}).ok
    with pytest.raises(InvalidInput):
        send(gitlab, told.example("gate.failed", ref=""), RUN)
    assert "no pipeline trigger token" in send(gitlab, told.example("gate.failed"), RUN, trigger_token="").error


def test_options_say_what_is_wrong_with_them() -> None:
    for asked, name in (
        (RUN | {"variables": {"A-B": "x"}}, "variables"),
        (RUN | {"inputs": {"a": "{nothing}"}}, "inputs"),
        (RUN | {"ref": "{brunch}"}, "ref"),
        (RUN | {"project": "a/../b"}, "project"),
    ):
        with pytest.raises(InvalidInput) as caught:
            validate_options(Connector, asked, config={})
        assert list(caught.value.fields) == [f"destination.{name}"]


def test_the_check_says_whose_token_it_is(gitlab: GitLab) -> None:
    assert connector(gitlab).check().message == "Signed in to GitLab as project_1_bot."
    assert connector(gitlab, access_token="").check().message.startswith("GitLab answers. Without an access token")


def test_a_preview_shows_the_pipeline_without_its_token() -> None:
    config, kept = validate_values(Connector, {}, {"trigger_token": TRIGGER})
    row = Integration(name="GitLab", type="gitlab", category="development", config=config, credentials=kept)
    (request,) = rehearse(row, validate_options(Connector, RUN, config={}), told.example("gate.failed")).requests
    assert request.url == "https://gitlab.com/api/v4/projects/acme%2Fshop/trigger/pipeline"
    assert '"ref":"main"' in request.body
    assert TRIGGER not in repr(request)
