from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["circleci"]
COMMIT = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"


def test_the_published_vector() -> None:
    """https://circleci.com/docs/reference/outbound-webhooks-reference/: `hello world` signed with `secret`."""
    signature = "734cc62f32841568f45715aeb9f4d7891324e6d948e4c6c60c0621cdac48623a"
    for header in (f"v1={signature}", f"v2=00, v1={signature}", f"v1={'0' * 64},v1={signature}"):
        assert SENDER.receiver.verify(SENDER.request(b"hello world", circleci_signature=header), ["secret"], {}, NOW)


def test_a_workflow_is_a_run() -> None:
    (event,) = SENDER.events(fixture("circleci", "workflow_completed"))
    (run,) = event.runs
    assert (event.type, event.repository) == ("inbound.circleci.workflow-completed", "acme/shop")
    assert (run.build_id, run.status, run.workflow, run.number) == ("wf-1", "failure", "test", "31")
    assert (run.branch, run.commit, run.event, run.actor) == ("main", COMMIT, "webhook", "Alice")
    assert (run.finished_at, run.duration_seconds) == (datetime(2026, 5, 4, 11, 4, 30, tzinfo=UTC), 270)


def test_a_job_is_a_run_of_its_own() -> None:
    (event,) = SENDER.events(fixture("circleci", "job_completed"))
    (run,) = event.runs
    assert (run.build_id, run.status, run.workflow, run.duration_seconds) == ("job-j-1", "cancelled", "unit", 60)


def test_projects_of_the_github_app_are_told_by_their_address() -> None:
    (event,) = SENDER.events(fixture("circleci", "workflow_completed_app"))
    assert (event.repository, event.runs[0].branch, event.runs[0].commit) == ("acme/shop", "main", COMMIT)


@pytest.mark.parametrize(
    ("word", "status"),
    [("success", "success"), ("error", "failure"), ("unauthorized", "failure"), ("timedout", "timed_out"), ("new", "failure")],
)
def test_the_words_of_a_workflow(word: str, status: str) -> None:
    (event,) = SENDER.events(fixture("circleci", "workflow_completed", workflow={"id": "wf-1", "status": word}))
    assert (event.runs[0].status, event.runs[0].raw["status"]) == (status, word)


def test_the_test_ping_is_no_run() -> None:
    (event,) = SENDER.events(b'{"id": "d", "type": "ping"}')
    assert (event.type, event.runs) == ("inbound.circleci.ping", ())
