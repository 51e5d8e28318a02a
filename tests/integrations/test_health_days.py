from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import housekeeping, runtime
from core.housekeeping import Batch
from core.models import RuntimeSettings
from integrations.choices import Condition
from integrations.health import housekeeping as jobs
from integrations.health.days import Budget, Day, availability, day_of, percentile, start_of
from integrations.health.report import conditions, recent_failures, report_of
from integrations.models import HealthDay, HealthSample, IntegrationHealth
from tests.integrations.health_kit import make_integration, sample_at, stub  # noqa: F401

unhurried = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY = NOON.date()
YESTERDAY = TODAY - timedelta(days=1)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([], 95, None), ([7.0], 50, 7.0), ([1.0, 2.0], 50, 1.0), ([1.0, 2.0], 51, 2.0), ([float(n) for n in range(1, 101)], 95, 95.0)],
)
def test_percentiles_are_nearest_ranks(values, share, expected):
    assert percentile(values, share) == expected


@unhurried
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(values, share):
    found = percentile(sorted(values), share)
    assert sum(value <= found for value in values) * 100 >= share * len(values)
    assert sum(value < found for value in values) * 100 < share * len(values)


def test_a_day_counts_all_checks_and_times_the_good_ones():
    day = day_of(TODAY, [(True, 100.0), (True, 300.0), (False, 30_000.0), (False, None)])
    assert (day.checks, day.failures, day.availability) == (4, 2, 50.0)
    assert (day.p50_ms, day.p95_ms, day.p99_ms) == (100.0, 300.0, 300.0)


def test_what_was_not_measured_is_no_check_and_no_failure():
    day = day_of(TODAY, [(True, 100.0), (None, None), (None, None), (False, 5.0)])
    assert (day.checks, day.failures, day.unmeasured, day.availability) == (2, 1, 2, 50.0)
    assert day_of(TODAY, [(None, None)]).availability is None


def test_availability_is_never_rounded_up_to_its_target():
    assert availability(100_000, 1) == 99.999
    assert availability(1_000_000, 1) == 99.999
    assert availability(3, 0) == 100.0
    assert availability(0, 0) is None


def test_targets_are_met_or_missed_and_without_one_neither():
    day = Day(TODAY, checks=1000, failures=5, p95_ms=800.0)
    assert (day.available_enough(99.5), day.available_enough(99.6), day.available_enough(None)) == (True, False, None)
    assert (day.fast_enough(800), day.fast_enough(799), day.fast_enough(None)) == (True, False, None)
    assert (Day(TODAY).available_enough(99), Day(TODAY).fast_enough(1)) == (None, None)


@pytest.mark.parametrize(
    ("target", "checks", "failures", "allowed", "left"),
    [(99.5, 1000, 0, 5.0, 100.0), (99.5, 1000, 2, 5.0, 60.0), (99.5, 1000, 5, 5.0, 0.0), (99.5, 1000, 10, 5.0, -100.0),
     (100.0, 1000, 0, 0.0, 100.0), (100.0, 1000, 1, 0.0, -100.0), (0.0, 10, 10, 10.0, 0.0)],
)  # fmt: skip
def test_the_error_budget_is_what_the_target_allows(target, checks, failures, allowed, left):
    budget = Budget(target, checks, failures)
    assert (budget.allowed, budget.left) == (allowed, left)


# --- Summaries --------------------------------------------------------------------------------------------------------


def _summarize(now: datetime = NOON) -> int:
    rows, cursor = 0, ""
    while True:
        step = jobs.summarize_days(Batch(cursor=cursor), now)
        rows, cursor = rows + step.rows, step.cursor
        if not cursor:
            return rows


@pytest.mark.django_db
def test_a_finished_day_is_summarized_once():
    row = make_integration()
    for hour in range(10):
        sample_at(row, NOON - DAY + hour * HOUR, ok=hour != 3, ms=100.0 + hour)
    sample_at(row, NOON, ok=False)
    sample_at(row, NOON - DAY, ok=False, trigger="manual")
    assert _summarize() == 1
    day = HealthDay.objects.get()
    assert (day.day, day.checks, day.failures, day.p50_ms, day.p99_ms) == (YESTERDAY, 10, 1, 105.0, 109.0)
    HealthSample.objects.all().delete()
    assert _summarize() == 0
    assert HealthDay.objects.get().checks == 10


@pytest.mark.django_db
def test_faults_of_the_portal_are_summarized_beside_the_checks():
    row = make_integration(sla_availability=99.0)
    for hour in range(4):
        sample_at(row, NOON - DAY + hour * HOUR, ok=None if hour else True)
    sample_at(row, NOON, ok=None)
    assert [day.unmeasured for day in report_of(row, 2, NOON).days] == [1, 3]
    _summarize()
    day = HealthDay.objects.get()
    assert (day.checks, day.failures, day.unmeasured) == (1, 0, 3)
    report = report_of(row, 2, NOON)
    assert (report.total.checks, report.total.unmeasured, report.total.availability) == (1, 4, 100.0)
    assert report.budget.failures == 0
    assert recent_failures(row.id) == []


@pytest.mark.django_db
def test_days_are_bounded_by_midnight_utc():
    row = make_integration()
    for at in (
        start_of(YESTERDAY),
        start_of(TODAY) - timedelta(milliseconds=1),
        start_of(TODAY),
        start_of(YESTERDAY) - timedelta(seconds=1),
    ):
        sample_at(row, at)
    _summarize()
    assert dict(HealthDay.objects.values_list("day", "checks")) == {YESTERDAY: 2, YESTERDAY - DAY: 1}


@pytest.mark.django_db
def test_just_after_midnight_it_waits_for_the_last_checks():
    sample_at(make_integration(), start_of(TODAY) - HOUR)
    assert _summarize(start_of(TODAY) + timedelta(minutes=4)) == 0
    assert _summarize(start_of(TODAY) + timedelta(minutes=6)) == 1


@pytest.mark.django_db
def test_days_that_were_missed_are_made_up_for():
    row = make_integration()
    for back in range(1, 10):
        sample_at(row, NOON - back * DAY)
    assert _summarize() == 7


@pytest.mark.django_db
def test_many_integrations_are_summarized_in_batches_of_a_fixed_cost(monkeypatch):
    counts = []
    runtime.current()
    for more in (1, 10):
        for number in range(more):
            sample_at(make_integration(str(number)), NOON - DAY)
        HealthDay.objects.all().delete()
        with CaptureQueriesContext(connection) as queries:
            _summarize()
        counts.append(len(queries))
    assert counts[0] == counts[1]
    monkeypatch.setattr(jobs, "_INTEGRATIONS_AT_ONCE", 3)
    HealthDay.objects.all().delete()
    assert _summarize() == 11


@pytest.mark.django_db
def test_a_dry_run_writes_nothing():
    sample_at(make_integration(), timezone.now() - 2 * DAY)  # yesterday is not summarized just after midnight
    assert housekeeping.run_now(housekeeping.find("integrations.health_days"), dry_run=True) == 1
    assert not HealthDay.objects.exists()


@pytest.mark.django_db
def test_samples_go_after_their_time_day_by_day():
    RuntimeSettings.objects.create(pk=1, health_retention_days=1)
    runtime.forget()
    row, midnight = make_integration(), start_of(timezone.now().date())
    kept = [sample_at(row, midnight - DAY), sample_at(row, midnight)]
    sample_at(row, midnight - DAY - timedelta(seconds=1))
    job = housekeeping.find("integrations.health_samples")
    assert housekeeping.run_now(job) == 1
    assert set(HealthSample.objects.values_list("id", flat=True)) == {sample.id for sample in kept}


# --- The report -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_report_has_today_as_far_as_it_has_come_and_the_days_before():
    row = make_integration(sla_availability=90.0)
    sample_at(row, NOON, ok=False)
    sample_at(row, NOON - HOUR)
    for back in (2, 3, 40):
        HealthDay.objects.create(integration=row, day=TODAY - back * DAY, checks=100, failures=back)
    report = report_of(row, 30, NOON)
    assert [(day.day, day.checks, day.failures) for day in report.days] == [
        (TODAY, 2, 1), (TODAY - 2 * DAY, 100, 2), (TODAY - 3 * DAY, 100, 3),
    ]  # fmt: skip
    assert (report.total.checks, report.total.failures) == (202, 6)
    assert report.budget.allowed == 20.2


@pytest.mark.django_db
def test_yesterday_is_shown_before_it_is_summarized_and_never_twice():
    row = make_integration()
    sample_at(row, NOON - DAY)
    assert [(day.day, day.checks) for day in report_of(row, 30, NOON).past] == [(YESTERDAY, 1)]
    assert report_of(row, 1, NOON).past == []
    _summarize()
    assert [(day.day, day.checks) for day in report_of(row, 30, NOON).past] == [(YESTERDAY, 1)]


@pytest.mark.django_db
def test_a_report_costs_three_statements(django_assert_num_queries):
    row = make_integration()
    for hour in range(20):
        sample_at(row, NOON - hour * HOUR)
    with django_assert_num_queries(3):
        assert report_of(row, 30, NOON).total.checks == 20


@pytest.mark.django_db
def test_recent_failures_are_the_newest_first():
    row = make_integration()
    failed = [sample_at(row, NOON - number * HOUR, ok=number % 2 == 0) for number in range(6)]
    assert [sample.id for sample in recent_failures(row.id, 2)] == [failed[1].id, failed[3].id]


@pytest.mark.django_db
def test_states_are_counted_for_those_who_see_them(alice, charlie, admin):
    from access.principals import of_user
    from tests.factories import owner_of

    make_integration(owner=owner_of(alice))
    make_integration("off", owner=owner_of(alice), status="inactive")
    IntegrationHealth.objects.update(state="unhealthy")
    assert conditions(of_user(alice)) == {Condition.UNHEALTHY: 1}
    assert conditions(of_user(admin))[Condition.UNHEALTHY] == 1
    assert not conditions(of_user(charlie))


def test_a_day_knows_when_it_starts():
    assert start_of(date(2026, 1, 1)) == datetime(2026, 1, 1, tzinfo=UTC)
