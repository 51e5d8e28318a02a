from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["bitbucket"]
OLD, NEW = "6113728f27ae82c7b1a177c8d03f9e96e0adf246", "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"


def events(name: str, key: str, **changes: Any) -> Any:
    return SENDER.events(fixture("bitbucket", name, **changes), x_event_key=key)


def test_a_push_is_one_event_for_each_branch_and_tag() -> None:
    main, tag, gone = events("push", "repo:push")
    assert {event.type for event in (main, tag, gone)} == {"repository.pushed"}
    assert {event.repository for event in (main, tag, gone)} == {"acme/shop"}
    assert (main.data["ref"], main.data["before"], main.data["after"]) == ("refs/heads/main", OLD, NEW)
    assert main.data["head_commit"]["message"] == "Pin the base image"
    assert (tag.data["ref"], tag.data["created"]) == ("refs/tags/v1.0.0", True)
    assert (gone.data["ref"], gone.data["deleted"]) == ("refs/heads/old", True)


def test_a_pull_request() -> None:
    (event,) = events("pull_request", "pullrequest:fulfilled")
    assert (event.type, event.data["action"], event.data["number"]) == ("pull_request.updated", "merged", 7)
    assert event.data["pull_request"]["state"] == "merged"
    assert event.data["pull_request"]["base"] == {"ref": "main", "sha": OLD}


def test_a_comment_keeps_bitbuckets_name() -> None:
    (event,) = events("pull_request", "pullrequest:comment_created")
    assert (event.type, event.repository) == ("inbound.bitbucket.pullrequest.comment_created", "acme/shop")


@pytest.mark.parametrize(
    ("word", "status"),
    [("SUCCESSFUL", "success"), ("FAILED", "failure"), ("INPROGRESS", "running"), ("STOPPED", "cancelled"), ("X", "running")],
)
def test_a_build_status_is_a_run(word: str, status: str) -> None:
    about = {
        "key": "k",
        "name": "Pipeline #31",
        "state": word,
        "refname": "main",
        "commit": {"hash": NEW},
        "url": "https://ci.example.com/31",
        "created_on": "2026-05-04T11:00:00+00:00",
        "updated_on": "2026-05-04T11:05:00+00:00",
    }
    (event,) = events("commit_status", "repo:commit_status_updated", commit_status=about)
    (run,) = event.runs
    assert (run.build_id, run.status, run.workflow, run.branch, run.commit) == (f"{NEW}:k", status, "Pipeline #31", "main", NEW)
    assert run.raw["status"] == word
    ended = None if status == "running" else datetime(2026, 5, 4, 11, 5, tzinfo=UTC)
    assert (run.finished_at, run.duration_seconds) == (ended, None if ended is None else 300)


def test_a_key_too_long_for_an_id_still_names_its_run() -> None:
    about = {"key": "k" * 90, "state": "FAILED", "commit": {"hash": NEW}}
    (event,) = events("commit_status", "repo:commit_status_created", commit_status=about)
    assert len(event.runs[0].build_id) == 64


def test_data_center_pushes() -> None:
    (event,) = events("refs_changed", "repo:refs_changed")
    assert (event.type, event.repository, event.data["ref"]) == ("repository.pushed", "ACME/shop", "refs/heads/main")
    assert (event.data["before"], event.data["after"]) == (OLD, NEW)
    assert event.occurred_at == datetime(2026, 5, 4, 11, tzinfo=UTC)
    change = {"refId": "refs/heads/x", "fromHash": OLD, "toHash": "0" * 40, "type": "DELETE"}
    assert events("refs_changed", "repo:refs_changed", changes=[change])[0].data["deleted"]


def test_data_center_pull_requests() -> None:
    (event,) = events("pr_opened", "pr:opened")
    assert (event.type, event.repository, event.data["action"]) == ("pull_request.updated", "ACME/shop", "opened")
    assert event.data["pull_request"]["head"] == {"ref": "upgrade", "sha": NEW}
    assert events("pr_opened", "pr:comment:added")[0].type == "inbound.bitbucket.pr.comment.added"


def test_data_centers_test_needs_no_body() -> None:
    (event,) = SENDER.events(b'{"test": true}', x_event_key="diagnostics:ping")
    assert event.type == "inbound.bitbucket.diagnostics.ping"


def test_data_center_names_the_delivery_in_another_header() -> None:
    request = SENDER.request(x_request_uuid="", x_request_id="r-1")
    assert request.received_at
    assert SENDER.receiver.verify(request, [SENDER.secrets[0]], {}, request.received_at).dedupe_id == "r-1"
