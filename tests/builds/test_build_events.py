from __future__ import annotations

import random

import pytest
from django.contrib.auth.models import User

from builds.models import Build
from builds.services import scope_of
from core.models import Event
from integrations.contract.reports import ReportedRun
from integrations.reported import RunReport, report_runs
from tests.builds.kit import at, row, store, told
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db


def test_each_step_is_told_once() -> None:
    for _ in range(2):
        store(row(status="queued", minute=None))
        store(row(status="running"))
        store(row(status="failure"))
    assert told() == [("completed", "1"), ("failed", "1"), ("started", "1")]


def test_what_nobody_judges_is_only_completed() -> None:
    store(row(status="cancelled"), row("2", "skipped"))
    assert told() == [("completed", "1"), ("completed", "2")]


def test_the_past_is_not_told() -> None:
    store(row(status="failure"), row("2", minute=5), publish=False)
    assert told() == []


STREAK = [
    row("0", "success", minute=0),
    row("1", "failure", minute=10),
    row("2", "cancelled", minute=20),
    row("3", "timed_out", minute=30),
    row("4", "success", minute=40),
    row("5", "success", minute=50),
    row("6", "success", minute=20, branch="other"),
    row("7", "success", minute=20, workflow="deploy"),
    row("8", "failure", minute=60),
]


@pytest.mark.parametrize("seed", range(8))
def test_the_first_success_after_failures_is_a_recovery_in_any_order(seed: int) -> None:
    rows = list(STREAK)
    random.Random(seed).shuffle(rows)
    store(*rows)
    store(*STREAK)
    assert told("recovered") == [("recovered", "4")]
    payload = Event.objects.get(type="build.recovered").payload
    assert (payload["failures"], payload["red_seconds"]) == (2, 30 * 60)
    assert payload["repository"] == {"full_name": "acme/shop"}


def test_a_success_that_was_reported_before_the_failure_is_told_then() -> None:
    store(row("2", minute=10))
    assert told("recovered") == []
    store(row("1", "failure", minute=0))
    assert told("recovered") == [("recovered", "2")]


def test_the_second_attempt_recovers_the_first() -> None:
    store(row(status="failure", commit="abc"))
    store(row(status="success", attempt=2, commit="abc", finished_at=at(4)))
    assert told("recovered") == [("recovered", "1")]
    assert Event.objects.get(type="build.recovered").payload["red_seconds"] == 180


def test_a_commit_with_both_outcomes_is_flaky_once() -> None:
    store(row("1", "failure", commit="abc"), row("2", "success", minute=5, commit="other"))
    assert told("flaky") == []
    store(row("3", "success", minute=10, commit="abc", workflow="deploy"))
    assert told("flaky") == []
    store(row("4", "success", minute=10, commit="abc"))
    store(row("5", "failure", minute=20, commit="abc"))
    assert told("flaky") == [("flaky", "4")]
    assert Event.objects.get(type="build.flaky").payload["outcomes"] == ["failure", "success"]


def test_events_belong_to_the_repositorys_owner(alice: User) -> None:
    shop = RepositoryFactory(owner=owner_of(alice), full_name="acme/shop")
    store(row())
    assert list(Event.objects.values_list("owner_id", "repository_id")) == [(owner_of(alice).id, shop.id)]


def test_another_owners_repository_of_the_same_name_neither_adds_events_nor_takes_them(alice: User, charlie: User) -> None:
    for person, provider in ((alice, "github"), (charlie, "gitlab")):
        RepositoryFactory(owner=owner_of(person), full_name="acme/shop", provider=provider)
    theirs = scope_of(owner_of(charlie).id)
    store(row("1", "success", source="gitlab", commit="abc"), row("2", "failure", minute=5, source="gitlab", commit="abc"), scope=theirs)
    assert told("flaky") == [("flaky", "2")]
    store(row("3", "success", minute=10, source="github", commit="abc"), scope=scope_of(owner_of(alice).id))
    assert (told("recovered"), told("flaky")) == ([], [("flaky", "2")])
    store(row("4", "failure", minute=20, source="github", commit="abc"), scope=scope_of(owner_of(alice).id))
    assert told("flaky") == [("flaky", "2"), ("flaky", "4")]


def test_builds_without_a_start_recover_nothing() -> None:
    store(row("1", "failure", minute=None), row("2", "success", minute=None))
    assert told("recovered") == []


def test_reported_runs_become_builds(alice: User, caplog: pytest.LogCaptureFixture) -> None:
    runs = [
        ReportedRun(
            "9", 1, "startup_failure", workflow="w" * 300, branch="main", event="pull_request", started_at=at(0), finished_at=at(1)
        ),
        ReportedRun("10", 1, "in_progress", url="x" * 3000, raw={"secret": "s3cret"}),
        ReportedRun("11", 1, "exploded"),
    ]
    for _ in range(2):
        report_runs(RunReport("github", "acme/shop", runs, owner_id=owner_of(alice).id))
    kept = Build.objects.order_by("-build_id").values_list("build_id", "source", "status", "conclusion", "is_pull_request", "owner_id")
    assert list(kept) == [
        ("9", "github", "failure", "startup_failure", True, owner_of(alice).id),
        ("10", "github", "running", "in_progress", False, owner_of(alice).id),
    ]
    assert told() == [("completed", "9"), ("failed", "9"), ("started", "10")]
    assert "reported_runs_rejected" in caplog.text
