"""Each measure, by hand and against a plain computation that knows only the definitions."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from access.principals import of_user
from builds.analysis.compute import Pass, comparison, measures
from builds.analysis.measures import nearest_rank
from builds.analysis.scope import Row
from builds.models import Build
from tests.builds.build_kit import MONDAY, WEEK, build, scope, store
from tests.builds.naive_measures import naive
from tests.factories import RepositoryFactory, owner_of

pytestmark = pytest.mark.django_db
KNOWN_TIMES = st.integers(-60, 9 * 24 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes, milliseconds=minutes % 7))
TIMES = st.none() | KNOWN_TIMES
# few different values, so that builds meet: same commits, branches, instants, runs
BUILDS = st.fixed_dictionaries(
    {
        "project": st.sampled_from(["acme/shop", "acme/shop", "ácme/öl"]),
        "source": st.sampled_from(["github", "api"]),
        "workflow": st.sampled_from(["test", "test", "Deploy shop"]),
        "branch": st.sampled_from(["main", "main", "trunk", ""]),
        "commit": st.sampled_from(["", "a1", "b2"]),
        "event": st.sampled_from(["", "push", "pull_request", "deployment"]),
        "is_pull_request": st.booleans(),
        "status": st.sampled_from(["success", "success", "failure", "timed_out", "cancelled", "skipped", "running", "queued"]),
        "started_at": TIMES,
        "finished_at": TIMES,
        "created_at": KNOWN_TIMES,
        "duration_seconds": st.none() | st.sampled_from([0.0, 0.1, 61.5, 7200.25]),
        "known": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(drawn=st.lists(st.tuples(st.sampled_from("rst"), BUILDS), max_size=40), days=st.sampled_from([1, 7, 9, 100]))
def test_it_equals_the_plain_computation(db: None, drawn: list[tuple[str, dict[str, Any]]], days: int) -> None:
    with transaction.atomic():
        repository = RepositoryFactory(default_branch="trunk")
        attempts: dict[tuple[str, str, str], int] = {}
        rows = []
        for run, values in drawn:
            attempt = attempts[key] = attempts.get(key := (values["project"], values["source"], run), 0) + 1
            known = repository if values["known"] else None
            rows.append(build(build_id=run, attempt=attempt, repository=known, **{k: v for k, v in values.items() if k != "known"}))
        stored = store(*rows)
        since, until = MONDAY + timedelta(hours=5), MONDAY + timedelta(days=days, hours=9)
        found = measures(scope(since, until))
        transaction.set_rollback(True)
    assert found == naive(stored, since, until)


def test_nothing_is_no_measure_and_no_fault() -> None:
    found = measures(scope())
    assert found == naive([], MONDAY, WEEK)
    assert (found["builds"], found["success_rate"], found["duration_seconds"]["p95"]) == (0, None, None)
    assert len(found["trend"]["points"]) == 7


def test_running_builds_say_nothing_about_success() -> None:
    store(build(0, "running", None), build(1, "queued", None), build(2, "cancelled"), build(3, "skipped"))
    found = measures(scope())
    assert (found["builds"], found["completed"], found["success_rate"]) == (4, 0, None)
    assert found["counts"] == {"queued": 1, "running": 1, "success": 0, "failure": 0, "timed_out": 0, "cancelled": 1, "skipped": 1}


def test_cancelled_and_skipped_builds_are_left_out_of_the_rate() -> None:
    store(build(), build(1, "failure"), build(2, "timed_out"), build(3), build(4, "cancelled"), build(5, "skipped"))
    assert measures(scope())["success_rate"] == 0.5


def test_one_build_is_every_percentile_of_itself() -> None:
    store(build(lasts=4))
    assert measures(scope())["duration_seconds"] == {"count": 1, "p50": 240.0, "p90": 240.0, "p95": 240.0}


def test_percentiles_are_values_that_occur() -> None:
    store(*(build(number, lasts=None, duration_seconds=float(number)) for number in range(1, 21)), build(30, "failure", lasts=500))
    assert measures(scope())["duration_seconds"] == {"count": 20, "p50": 10.0, "p90": 18.0, "p95": 19.0}


@pytest.mark.parametrize("percent", [50, 90, 95])
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(percent: int) -> None:
    for count in range(1, 120):
        values = [float(number) for number in range(count)]
        expected = min(value for value in values if 100 * len([other for other in values if other <= value]) >= percent * count)
        assert nearest_rank(values, percent) == expected


def test_only_the_last_attempt_of_a_run_has_a_duration() -> None:
    store(build(0, build_id="7", attempt=1, lasts=1), build(5, build_id="7", attempt=2, lasts=2), build(9, build_id="8", lasts=3))
    assert measures(scope())["duration_seconds"] == {"count": 2, "p50": 120.0, "p90": 180.0, "p95": 180.0}


def test_a_streak_lasts_from_the_end_of_its_first_failure_to_the_end_of_the_next_success() -> None:
    store(build(0), build(10, "failure"), build(20, "cancelled"), build(30, "timed_out"), build(60), build(70))
    found = measures(scope())["mttr"]
    assert found["default_branch"] == {
        "recovered": 1, "mean_seconds": 3000.0, "median_seconds": 3000.0, "longest_seconds": 3000.0, "ongoing": 0
    }  # fmt: skip
    assert found["groups"][0]["longest_streak"]["failures"] == 2


def test_an_open_streak_is_ongoing_and_not_averaged() -> None:
    store(build(0, "failure"), build(10), build(20, "failure"), build(30, "failure"))
    found = measures(scope())["mttr"]
    assert (found["default_branch"]["recovered"], found["default_branch"]["ongoing"]) == (1, 1)
    assert found["groups"][0]["ongoing"] == {"since": "2026-11-02T00:25:00+00:00", "failures": 2, "seconds": None, "ongoing": True}


def test_the_longest_streak_is_the_one_with_most_failures() -> None:
    store(*(build(minute, status) for minute, status in enumerate(["failure", "failure", "success", "failure", "success"])))
    (group,) = measures(scope())["mttr"]["groups"]
    assert group["longest_streak"] == {"since": "2026-11-02T00:05:00+00:00", "failures": 2, "seconds": 120.0, "ongoing": False}


def test_a_pull_request_neither_breaks_nor_mends_the_branch_it_is_named_after() -> None:
    store(build(0, "failure", is_pull_request=True), build(5, "failure"), build(10, is_pull_request=True), build(65))
    assert measures(scope())["mttr"]["default_branch"]["mean_seconds"] == 3600.0


def test_the_headline_is_of_the_repositorys_own_default_branch() -> None:
    shop = RepositoryFactory(default_branch="trunk")
    for branch, minutes in (("trunk", 10), ("main", 90)):
        store(build(0, "failure", branch=branch, repository=shop), build(minutes, branch=branch, repository=shop))
    found = measures(scope())["mttr"]
    assert (found["default_branch"]["mean_seconds"], found["all_branches"]["mean_seconds"]) == (600.0, 3000.0)


def test_builds_that_end_at_one_instant_are_taken_by_start_then_attempt() -> None:
    store(build(0, "failure", 10, build_id="1"), build(5, "success", 5), build(10, "success", 0, build_id="2", attempt=2))
    assert measures(scope())["mttr"]["default_branch"]["longest_seconds"] == 0.0


def test_a_commit_is_flaky_over_attempts_and_over_runs() -> None:
    store(
        build(0, "failure", commit="a", build_id="1"), build(9, commit="a", build_id="1", attempt=2),
        build(0, "failure", commit="b"), build(9, commit="b"),
        build(0, "failure", commit="c"), build(9, commit="c", workflow="lint"),
        build(0, "failure", commit=""), build(9, commit=""),
    )  # fmt: skip
    found = measures(scope())["flaky"]
    assert (found["flaky_commits"], found["failed_commits"], found["flake_rate"]) == (2, 3, 0.666667)
    assert found["workflows"][0]["latest_commit"] == "b"


def test_weekdays_and_hours_are_utc() -> None:
    east = datetime(2026, 11, 9, 0, 30, tzinfo=UTC) - timedelta(hours=2)
    store(build(started_at=east, finished_at=east, status="failure"))
    found = measures(scope())["failure_rate"]
    assert found["heat_map"][6][22] == {"completed": 1, "failed": 1, "failure_rate": 1.0}
    assert [day["weekday"] for day in found["by_weekday"] if day["failed"]] == ["Sunday"]


def test_a_long_window_has_a_point_for_each_week() -> None:
    store(build(0))
    found = measures(scope(MONDAY - timedelta(days=60), WEEK))["trend"]
    assert found["unit"] == "week"
    assert all(datetime.fromisoformat(point["start"]).weekday() == 0 for point in found["points"])
    assert sum(point["builds"] for point in found["points"]) == 1


def test_it_sees_what_its_requester_sees(alice: User, charlie: User) -> None:
    store(build(0, owner=owner_of(alice)), build(1, "failure"), build(2, owner=owner_of(charlie)))
    assert measures(scope(who=of_user(alice)))["builds"] == 1
    assert measures(scope())["builds"] == 3


def test_it_is_about_the_named_project_branch_and_workflow_only() -> None:
    store(build(0), build(1, project="acme/api"), build(2, branch="fix"), build(3, workflow="lint"))
    found = measures(scope(project="acme/shop", branch="main", workflow="test"))
    assert found["builds"] == 1


def test_two_windows_are_compared_measure_by_measure() -> None:
    store(build(0), build(1, "failure"), build(8 * 24 * 60))
    now, before = measures(scope(WEEK, WEEK + timedelta(days=7))), measures(scope())
    rows = {row["measure"]: row for row in comparison(now, before)["measures"]}
    assert rows["success_rate"] == {"measure": "success_rate", "value": 1.0, "compared": 0.5, "change": 0.5}
    assert rows["flake_rate"]["change"] is None


def test_it_takes_as_many_statements_for_many_builds_as_for_none() -> None:
    counts = []
    for number in (0, 40):
        store(
            *(build(n, "failure" if n % 3 else "success", commit=f"c{n % 5}", branch=f"b{n}", workflow=f"w{n % 7}") for n in range(number))
        )
        with CaptureQueriesContext(
            connection,
        ) as captured:
            measures(scope())
        counts.append(len(captured))
    assert counts == [4, 4]


def test_lists_are_cut_off_at_the_same_place_everywhere() -> None:
    names = ["b", "B", "a", "Ä", "_", "-", "é"]
    store(*(build(n, "failure", branch=f"{name}{n}") for n, name in enumerate(names * 10)))
    found = [entry["branch"] for entry in measures(scope())["failure_rate"]["by_branch"]]
    assert found == sorted(Build.objects.values_list("branch", flat=True))[:50]


@pytest.mark.once
def test_it_holds_a_few_numbers_of_a_build_and_never_the_build() -> None:
    def peak(count: int) -> int:
        at = [MONDAY + timedelta(seconds=n) for n in range(100)]
        rows = (
            Row(
                project="acme/shop",
                workflow=f"w{n // 100}",
                branch=f"b{n // 10}",
                status="success" if n % 3 else "failure",
                started_at=at[n % 100],
                finished_at=at[n % 100],
                created_at=at[n % 100],
                duration_seconds=n / 7,
                is_pull_request=False,
                event="",
                default_branch=None,
                is_last=True,
            )
            for n in range(count)
        )
        tracemalloc.start()
        Pass(scope()).run(rows)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)
    assert peak(22_000) - peak(2_000) < 20_000 * 40
