from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["gitlab_token"]
COMMIT = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"


def test_a_push_is_told_in_the_words_of_repository_pushed() -> None:
    (event,) = SENDER.events(fixture("gitlab", "push"))
    assert (event.type, event.repository) == ("repository.pushed", "acme/shop")
    assert (event.data["ref"], event.data["after"]) == ("refs/heads/main", COMMIT)
    assert event.data["pusher"] == {"name": "alice", "email": "alice@example.com"}
    assert event.data["head_commit"]["message"] == "Pin the base image\n"
    assert event.data["head_commit"]["modified"] == ["Dockerfile"]
    assert (event.data["created"], event.data["deleted"]) == (False, False)
    assert event.data["repository"]["default_branch"] == "main"


def test_a_new_tag_is_a_push_that_creates() -> None:
    (event,) = SENDER.events(fixture("gitlab", "tag_push"))
    assert (event.type, event.data["ref"], event.data["created"]) == ("repository.pushed", "refs/tags/v1.0.0", True)
    (event,) = SENDER.events(fixture("gitlab", "tag_push", before=COMMIT, after="0" * 40))
    assert event.data["deleted"]


def test_a_merge_request_is_a_pull_request() -> None:
    (event,) = SENDER.events(fixture("gitlab", "merge_request"))
    assert (event.type, event.data["number"], event.data["action"]) == ("pull_request.updated", 7, "open")
    assert event.data["pull_request"]["state"] == "open"
    assert event.data["pull_request"]["head"] == {"ref": "upgrade", "sha": COMMIT}
    assert event.occurred_at == datetime(2026, 5, 4, 11, 5, tzinfo=UTC)


def test_a_pipeline_is_a_run() -> None:
    (event,) = SENDER.events(fixture("gitlab", "pipeline"))
    (run,) = event.runs
    assert (event.type, event.repository) == ("inbound.gitlab.pipeline", "acme/shop")
    assert (run.build_id, run.attempt, run.status, run.number) == ("4711", 1, "failure", "31")
    assert (run.workflow, run.branch, run.commit, run.event, run.actor) == ("Pipeline of main", "main", COMMIT, "push", "alice")
    assert (run.started_at, run.finished_at) == (datetime(2026, 5, 4, 11, 0, 20, tzinfo=UTC), datetime(2026, 5, 4, 11, 5, 30, tzinfo=UTC))
    assert run.duration_seconds == 310
    assert run.url == "https://gitlab.example.com/acme/shop/-/pipelines/4711"
    assert run.raw["status"] == "failed"


def test_values_of_a_pipelines_variables_are_dropped() -> None:
    (event,) = SENDER.events(fixture("gitlab", "pipeline"))
    assert event.data["payload"]["object_attributes"]["variables"] == [{"key": "DEPLOY_KEY"}]
    assert "do-not-keep-me" not in repr(event)


@pytest.mark.parametrize(
    ("word", "status"),
    [("pending", "queued"), ("waiting_for_resource", "queued"), ("running", "running"), ("success", "success"), ("failed", "failure"),
     ("canceled", "cancelled"), ("skipped", "skipped"), ("manual", "queued"), ("word_of_tomorrow", "running")],
)  # fmt: skip
def test_the_words_of_a_pipeline(word: str, status: str) -> None:
    (event,) = SENDER.events(fixture("gitlab", "pipeline", object_attributes={"id": 1, "status": word}))
    assert (event.runs[0].status, event.runs[0].raw["status"]) == (status, word)


def test_a_pipeline_of_which_a_job_timed_out_timed_out() -> None:
    job = {"status": "failed", "failure_reason": "stuck_or_timeout_failure", "allow_failure": False}
    for jobs, status in (([job], "timed_out"), ([job | {"allow_failure": True}], "failure")):
        (event,) = SENDER.events(fixture("gitlab", "pipeline", builds=jobs))
        assert event.runs[0].status == status


def test_a_job_is_a_run_of_its_own() -> None:
    (event,) = SENDER.events(fixture("gitlab", "build"))
    (run,) = event.runs
    assert (event.type, event.repository) == ("inbound.gitlab.job", "acme/shop")
    assert (run.build_id, run.attempt, run.status, run.workflow) == ("job-812", 2, "timed_out", "unit")
    assert (run.duration_seconds, run.raw["failure_reason"]) == (3600.5, "job_execution_timeout")
    assert run.url == "https://gitlab.example.com/acme/shop/-/jobs/812"


def test_what_has_no_type_of_its_own_keeps_gitlabs_name() -> None:
    (event,) = SENDER.events(fixture("gitlab", "note"))
    assert (event.type, event.repository) == ("inbound.gitlab.note", "acme/shop")
    assert event.data["payload"]["object_attributes"]["note"] == "Needs a test."
    assert event.data["event"] == "note"


def test_a_retried_delivery_is_known_by_its_key_also_where_the_signature_is_used() -> None:
    secrets, now = [SENDER.secrets[0]], SENDER.request().received_at
    assert now
    keyed = SENDER.receiver.verify(SENDER.request(idempotency_key="k-1"), secrets, SENDER.config, now)
    older = SENDER.receiver.verify(SENDER.request(), secrets, SENDER.config, now)
    assert (keyed.dedupe_id, older.dedupe_id) == ("k-1", "e+w")
    signed = BY_NAME["gitlab_signing"]
    assert signed.receiver.verify(signed.request(), [signed.secrets[0]], signed.config, now).dedupe_id == "msg_1"
