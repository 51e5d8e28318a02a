from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, fixture

pytestmark = pytest.mark.once
SENDER = BY_NAME["jenkins_basic"]


def dedupe_id(name: str) -> str:
    return SENDER.receiver.verify(SENDER.request(fixture("jenkins", name)), [SENDER.secrets[0]], SENDER.config, NOW).dedupe_id


def test_a_build_that_starts_is_a_run() -> None:
    (event,) = SENDER.events(fixture("jenkins", "started"))
    (run,) = event.runs
    assert (event.type, event.repository) == ("inbound.jenkins.started", "acme/shop")
    assert (run.build_id, run.status, run.number, run.workflow) == ("team/shop#7", "running", "7", "team/shop")
    assert (run.branch, run.commit) == ("main", "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5")
    assert (run.started_at, run.finished_at) == (datetime(2026, 5, 4, 11, tzinfo=UTC), None)


def test_its_end_is_the_same_run() -> None:
    (event,) = SENDER.events(fixture("jenkins", "completed"))
    (run,) = event.runs
    assert (run.build_id, run.status, run.duration_seconds) == ("team/shop#7", "failure", 270.5)
    assert run.finished_at == datetime(2026, 5, 4, 11, 4, 30, 500_000, tzinfo=UTC)
    assert run.raw["status"] == "UNSTABLE"
    assert run.raw["test_summary"]["failed"] == 1


def test_the_log_is_dropped() -> None:
    (event,) = SENDER.events(fixture("jenkins", "completed"))
    assert "log" not in event.data["payload"]["build"]
    assert "a very long log" not in repr(event)


def test_each_phase_of_a_build_is_a_delivery_of_its_own() -> None:
    assert len({dedupe_id(name) for name in ("started", "completed", "finalized")}) == 3
    assert dedupe_id("completed") == dedupe_id("completed")


@pytest.mark.parametrize(
    ("phase", "word", "status"),
    [("QUEUED", None, "queued"), ("STARTED", None, "running"), ("COMPLETED", "SUCCESS", "success"), ("COMPLETED", "FAILURE", "failure"),
     ("FINALIZED", "ABORTED", "cancelled"), ("FINALIZED", "NOT_BUILT", "skipped"), ("FINALIZED", "WORD_OF_TOMORROW", "failure"),
     ("COMPLETED", None, None), ("NONE", "SUCCESS", None)],
)  # fmt: skip
def test_the_words_of_a_build(phase: str, word: str | None, status: str | None) -> None:
    build: dict[str, Any] = {"number": 7, "phase": phase, "timestamp": 1777892400000, **({"status": word} if word else {})}
    (event,) = SENDER.events(fixture("jenkins", "started", build=build))
    assert [run.status for run in event.runs] == ([status] if status else [])
    assert event.repository == "team/shop"  # without source control, the job's own name


def test_the_password_may_hold_colons_and_the_user_is_free() -> None:
    sender = BY_NAME["jenkins_basic"]
    request = sender.request(secret="a:b:c")
    assert sender.receiver.verify(request, ["a:b:c"], sender.config, NOW)


def test_a_secret_with_characters_that_no_address_takes_is_written_percent_encoded() -> None:
    """https://jenkins:a%2Fb%2Bc%3D@… is sent as it stands there."""
    for written in ("a%2Fb%2Bc%3D", "a%2fb+c="):
        assert SENDER.receiver.verify(SENDER.request(secret=written), ["a/b+c="], SENDER.config, NOW)


def test_the_address_is_no_proof_where_basic_is_asked_for() -> None:
    address = BY_NAME["jenkins_address"]
    with pytest.raises(Exception, match="authorization is missing"):
        SENDER.receiver.verify(address.request(), [address.secrets[0]], SENDER.config, NOW)
