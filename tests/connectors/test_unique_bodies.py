"""Which bodies can't be meant twice, so that the same bytes under another id are a replay; and which may be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.errors import InvalidInput
from integrations.connectors.bitbucket.connector import Bitbucket
from integrations.connectors.github.connector import GitHub
from integrations.connectors.pagerduty.connector import PagerDuty
from integrations.connectors.snyk.connector import Snyk
from integrations.contract.inbound import InboundRequest, Receiver, Verified
from integrations.registry import with_capability
from tests.connectors.senders import fixture

pytestmark = pytest.mark.once
TIME = "2026-10-05T17:02:30Z"
PUSH = {"ref": "refs/heads/main", "before": "a" * 40, "after": "b" * 40, "repository": {"pushed_at": 1_790_000_000}}
PULL = {"pullrequest": {"updated_on": TIME, "state": "OPEN"}}
ALERT = {"action": "fixed", "alert": {"updated_at": TIME}}


def unique(receiver: type[Receiver], event: str, payload: Any) -> bool:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return receiver.body_is_unique(InboundRequest({}, body), Verified("d-1", event))


@pytest.mark.parametrize(
    ("receiver", "event", "payload"),
    [
        (GitHub, "push", PUSH),
        (GitHub, "pull_request", {"action": "synchronize", "pull_request": {"updated_at": TIME}, "before": "a", "after": "b"}),
        (GitHub, "workflow_run", {"action": "completed", "workflow_run": {"updated_at": TIME}}),
        (GitHub, "check_suite", {"action": "completed", "check_suite": {"updated_at": TIME}}),
        (GitHub, "code_scanning_alert", ALERT),
        (Bitbucket, "pullrequest:created", PULL),
        (Bitbucket, "repo:commit_status_updated", fixture("bitbucket", "commit_status")),
        (Bitbucket, "pr:opened", fixture("bitbucket", "pr_opened")),
        (Bitbucket, "repo:refs_changed", fixture("bitbucket", "refs_changed")),
        (Snyk, "project_snapshot", fixture("snyk", "project_snapshot")),
        (PagerDuty, "incident.triggered", fixture("pagerduty", "incident_triggered")),
    ],
)
def test_what_tells_its_time_can_not_be_meant_twice(receiver: type[Receiver], event: str, payload: Any) -> None:
    assert unique(receiver, event, payload)


@pytest.mark.parametrize(
    ("receiver", "event", "payload"),
    [
        (GitHub, "ping", {"zen": "Design for failure.", "hook_id": 9}),
        (GitHub, "star", {"action": "deleted", "starred_at": None, "repository": {"updated_at": TIME}}),
        (GitHub, "repository_dispatch", {"action": "deploy", "client_payload": {}, "repository": {"pushed_at": TIME}}),
        (GitHub, "push", PUSH | {"repository": {}}),
        (GitHub, "pull_request", {"action": "review_requested", "pull_request": {"updated_at": TIME}}),
        (GitHub, "pull_request_review_thread", {"action": "resolved", "thread": {}, "pull_request": {"updated_at": TIME}}),
        (GitHub, "deployment_review", {"action": "requested", "workflow_run": {"updated_at": TIME}}),
        (Bitbucket, "repo:push", fixture("bitbucket", "push")),
        (Bitbucket, "pullrequest:approved", PULL | {"approval": {"date": TIME}}),
        (Bitbucket, "diagnostics:ping", b'{"test": true}'),
        (Snyk, "ping", fixture("snyk", "ping")),
        (PagerDuty, "x", b"no json"),
    ],
)
def test_what_does_not_may_be_meant_twice(receiver: type[Receiver], event: str, payload: Any) -> None:
    assert not unique(receiver, event, payload)


@pytest.mark.parametrize(
    ("receiver", "event", "payload"),
    [
        (GitHub, "star", PUSH),
        (GitHub, "pull_request_review", {"action": "opened", "pull_request": {"updated_at": TIME}}),
        (GitHub, "ping", ALERT),
        (Bitbucket, "pullrequest:fulfilled", PULL),
        (Bitbucket, "pr:merged", fixture("bitbucket", "pr_opened")),
        (Snyk, "ping", fixture("snyk", "project_snapshot")),
    ],
)
def test_an_unsigned_event_that_does_not_fit_is_refused(receiver: type[Receiver], event: str, payload: Any) -> None:
    with pytest.raises(InvalidInput, match="does not fit the body"):
        unique(receiver, event, payload)


def test_where_the_secret_travels_or_the_id_is_signed_there_is_no_rule() -> None:
    rules = {one.key for one in with_capability(Receiver) if "body_is_unique" in vars(one)}
    assert rules == {"bitbucket", "github", "pagerduty", "snyk"}
