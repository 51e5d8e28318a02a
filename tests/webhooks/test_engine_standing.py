from __future__ import annotations

import dataclasses
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models import RuntimeSettings
from core.runtime import NAMES, Runtime
from tests.webhooks.engine_kit import NOW, claimed, reply
from webhooks.choices import BreakerState, ErrorClass, HoldReason, InactiveReason, Outcome
from webhooks.engine.judge import judge
from webhooks.engine.request import without_answer
from webhooks.engine.standing import UNLIMITED, Standing, refill, settle, spend
from webhooks.engine.types import Claimed, Result, Verdict
from webhooks.models import WebhookState

pytestmark = pytest.mark.once
_DEFAULTS = RuntimeSettings()
LIMITS = dataclasses.replace(
    Runtime(**{name: getattr(_DEFAULTS, name) for name in NAMES}),
    breaker_failures=3,
    breaker_first_hold_seconds=5,
    breaker_longest_hold_seconds=60,
    disable_after_hours=10,
)
ONE = claimed()


def state(**more: Any) -> WebhookState:
    return WebhookState(**({"webhook_id": uuid.uuid4(), "pending_count": 100} | more))


def ended(status: int | None = 200, *, at: datetime = NOW, one: Claimed = ONE, error_class: str = "", **answer: Any) -> Result:
    got = reply(status, error_class=error_class, error="Why it failed." if error_class else "", **answer)
    verdict = judge(got, step=1, schedule=(10.0, 20.0), random=lambda: 0.5)
    return Result(one, got, verdict, at, {})


def down(at: datetime = NOW) -> Result:
    return ended(None, at=at, error_class="timeout")


def run(row: WebhookState, *results: Result, now: datetime = NOW) -> Standing:
    return settle(row, results, LIMITS, now)


def test_successes_and_final_failures_move_the_counters_and_retries_do_not() -> None:
    row = state()
    run(row, ended(200), ended(200), ended(404), ended(500))
    assert (row.pending_count, row.success_count, row.failed_count) == (97, 2, 1)


def test_a_success_ends_the_streak() -> None:
    row = state(consecutive_failures=2, failing_since=NOW - timedelta(hours=1), last_error="old")
    run(row, ended(200))
    assert (row.consecutive_failures, row.failing_since, row.last_success_at) == (0, None, NOW)


def test_a_failure_is_remembered() -> None:
    row = state()
    run(row, ended(500, at=NOW), ended(404, at=NOW + timedelta(seconds=1)))
    assert row.consecutive_failures == 2
    assert (row.failing_since, row.last_failure_at) == (NOW, NOW + timedelta(seconds=1))
    assert "404" in row.last_error


@pytest.mark.parametrize("fault", [ErrorClass.INTERNAL, ErrorClass.UNREADABLE_SECRET])
def test_a_fault_of_the_portal_never_switches_a_webhook_off(fault: ErrorClass) -> None:
    row = state(consecutive_failures=0)
    for hours in (0, 11, 24):
        attempt = ended(None, at=NOW + timedelta(hours=hours))
        attempt = dataclasses.replace(attempt, verdict=Verdict(Outcome.FAILED, fault, "Its key is missing."))
        standing = settle(row, [attempt], LIMITS, NOW + timedelta(hours=hours))
        assert standing == Standing()
    assert (row.consecutive_failures, row.failing_since, row.last_error, row.failed_count) == (0, None, "Its key is missing.", 3)


@pytest.mark.parametrize(
    ("status", "disable", "failures"), [(410, InactiveReason.GONE, 0), (503, InactiveReason.NONE, 1), (500, InactiveReason.NONE, 1)]
)
def test_an_answer_that_could_not_be_stored_still_counts(status: int, disable: InactiveReason, failures: int) -> None:
    row = state()
    standing = settle(row, [without_answer(ended(status))], LIMITS, NOW)
    assert (standing.disable, row.breaker_failures, row.consecutive_failures) == (disable, failures, 1)


def test_a_long_error_fits_the_column() -> None:
    row = state()
    run(row, Result(ONE, reply(None), Verdict(Outcome.RETRY, ErrorClass.CONNECT, "x" * 500, delay=1.0), NOW, {}))
    assert len(row.last_error) == 300


# --- the breaker ------------------------------------------------------------------------------------------------------


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    row = state()
    assert not run(row, down(), down()).started_failing
    assert row.breaker == BreakerState.CLOSED
    assert run(row, down()).started_failing
    assert (row.breaker, row.breaker_trips) == (BreakerState.OPEN, 1)
    assert (row.hold_until, row.hold_reason) == (NOW + timedelta(seconds=5), HoldReason.BREAKER)


def test_a_success_in_between_keeps_it_closed() -> None:
    row = state()
    run(row, down(), down(), ended(200), down(), down())
    assert row.breaker == BreakerState.CLOSED


def test_final_answers_do_not_open_it() -> None:
    row = state()
    run(row, *[ended(404)] * 10)
    assert (row.breaker, row.hold_until) == (BreakerState.CLOSED, None)


def test_throttled_answers_do_not_open_it_but_hold() -> None:
    row = state()
    run(row, *[ended(429)] * 10)
    assert (row.breaker, row.hold_reason) == (BreakerState.CLOSED, HoldReason.THROTTLED)
    assert row.hold_until == NOW + timedelta(seconds=10)


def test_what_was_in_flight_when_it_opened_changes_nothing_more() -> None:
    row = state()
    standing = run(row, *[down()] * 50)
    assert (row.breaker_trips, row.hold_until) == (1, NOW + timedelta(seconds=5))
    assert standing.started_failing
    again = run(row, *[down()] * 50, now=NOW + timedelta(seconds=4))
    assert (row.breaker_trips, row.hold_until) == (1, NOW + timedelta(seconds=5))
    assert not again.started_failing


def test_each_failed_probe_doubles_the_hold_up_to_the_longest() -> None:
    row = state()
    run(row, down(), down(), down())
    holds = []
    for _ in range(40):
        now = row.hold_until
        assert now is not None
        row.breaker, row.hold_until, row.hold_reason = BreakerState.HALF_OPEN, None, HoldReason.NONE
        standing = run(row, down(now), now=now)
        assert not standing.started_failing
        holds.append((row.hold_until - now).total_seconds())  # type: ignore[operator]
    assert holds[:5] == [10, 20, 40, 60, 60]
    assert holds[-1] == 60
    assert row.breaker_trips == 30


def test_a_successful_probe_closes_it_and_ends_its_hold() -> None:
    row = state(breaker=BreakerState.HALF_OPEN, breaker_trips=4, consecutive_failures=30, failing_since=NOW)
    assert run(row, ended(200)).recovered
    assert (row.breaker, row.breaker_trips, row.hold_until) == (BreakerState.CLOSED, 0, None)


def test_a_late_success_of_a_request_in_flight_closes_an_open_one() -> None:
    row = state()
    run(row, down(), down(), down())
    assert run(row, ended(200)).recovered
    assert (row.breaker, row.hold_until, row.hold_reason) == (BreakerState.CLOSED, None, HoldReason.NONE)


def test_a_success_leaves_what_the_endpoint_asked_for() -> None:
    row = state(breaker=BreakerState.OPEN, hold_until=NOW + timedelta(hours=1), hold_reason=HoldReason.RETRY_AFTER)
    run(row, ended(200))
    assert (row.hold_until, row.hold_reason) == (NOW + timedelta(hours=1), HoldReason.RETRY_AFTER)


@pytest.mark.parametrize("status", [404, 429])
@pytest.mark.parametrize("breaker", [BreakerState.HALF_OPEN, BreakerState.OPEN])
def test_an_endpoint_that_answers_for_itself_is_up_again(status: int, breaker: BreakerState) -> None:
    row = state(breaker=breaker, breaker_trips=5)
    standing = run(row, ended(status))
    assert (row.breaker, row.breaker_trips) == (BreakerState.CLOSED, 0)
    assert not standing.recovered  # it has not delivered


def test_a_refused_address_while_half_open_says_nothing_about_the_endpoint() -> None:
    row = state(breaker=BreakerState.HALF_OPEN, breaker_trips=5)
    run(row, ended(None, error_class="address_refused"))
    assert row.breaker == BreakerState.HALF_OPEN


@pytest.mark.parametrize(("first", "then", "failing", "recovered"), [("down", "up", False, False), ("up", "down", False, False)])
def test_what_changed_to_and_fro_in_one_batch_is_no_news(first: str, then: str, failing: bool, recovered: bool) -> None:
    row = state() if first == "down" else state(breaker=BreakerState.OPEN, consecutive_failures=9)
    results = [down(), down(), down(), ended(200)] if first == "down" else [ended(200), down(), down(), down()]
    standing = run(row, *results)
    assert (standing.started_failing, standing.recovered) == (failing, recovered)
    assert row.breaker == (BreakerState.CLOSED if then == "up" else BreakerState.OPEN)


# --- holds ------------------------------------------------------------------------------------------------------------


def test_a_shorter_hold_never_replaces_a_longer_one() -> None:
    row = state()
    run(row, ended(503, retry_after=100.0), ended(503, retry_after=10.0), ended(502))
    assert (row.hold_until, row.hold_reason) == (NOW + timedelta(seconds=100), HoldReason.RETRY_AFTER)


def test_retry_after_zero_holds_nothing() -> None:
    row = state()
    run(row, ended(429, retry_after=0.0))
    assert row.hold_until is None


# --- disabling --------------------------------------------------------------------------------------------------------


def test_410_disables() -> None:
    row = state()
    assert run(row, ended(410)).disable is InactiveReason.GONE
    assert (row.failed_count, row.hold_until) == (1, None)


def test_gone_is_the_reason_that_counts() -> None:
    row = state(failing_since=NOW - timedelta(days=30), consecutive_failures=50)
    assert run(row, ended(410), down()).disable is InactiveReason.GONE


@pytest.mark.parametrize(("hours", "expected"), [(9.9, InactiveReason.NONE), (10, InactiveReason.FAILING), (100, InactiveReason.FAILING)])
def test_long_failure_disables(hours: float, expected: InactiveReason) -> None:
    row = state(failing_since=NOW - timedelta(hours=hours), consecutive_failures=7)
    assert run(row, down()).disable == expected


def test_one_failure_after_long_silence_does_not_disable() -> None:
    row = state()
    assert run(row, down(NOW - timedelta(hours=20)), now=NOW).disable == InactiveReason.NONE


# --- the rate limit ---------------------------------------------------------------------------------------------------


def test_without_a_limit_there_is_no_bucket() -> None:
    row = state()
    assert refill(row, None, NOW) == UNLIMITED
    spend(row, None, 500, NOW, wanted_more=True)
    assert (row.tokens, row.tokens_at, row.hold_until) == (0, None, None)


@pytest.mark.parametrize(("rate", "first"), [(10.0, 10), (1.0, 1), (0.01, 1), (2.5, 2)])
def test_the_first_burst_is_one_seconds_worth(rate: float, first: int) -> None:
    assert refill(state(), rate, NOW) == first


def test_an_empty_bucket_holds_until_its_next_token() -> None:
    row = state()
    spend(row, 4.0, refill(row, 4.0, NOW), NOW, wanted_more=True)
    assert (row.hold_until, row.hold_reason) == (NOW + timedelta(seconds=0.25), HoldReason.RATE_LIMIT)
    assert refill(row, 4.0, NOW + timedelta(seconds=0.25)) == 1


def test_an_empty_bucket_of_which_no_more_was_wanted_holds_nothing() -> None:
    row = state()
    spend(row, 4.0, refill(row, 4.0, NOW), NOW, wanted_more=False)
    assert row.hold_until is None


def test_a_lowered_rate_counts_at_once() -> None:
    row = state(tokens=1000.0, tokens_at=NOW)
    assert refill(row, 5.0, NOW) == 5


def test_two_machines_whose_clocks_differ_count_no_time_twice() -> None:
    row, total = state(tokens=0.0, tokens_at=NOW), 0
    for step in range(1, 1001):
        behind = timedelta(seconds=2) if step % 2 else timedelta(0)
        now = NOW + timedelta(seconds=step * 0.01) - behind
        count = refill(row, 10.0, now)
        spend(row, 10.0, count, now, wanted_more=False)
        total += count
    assert 90 <= total <= 101  # ten seconds at ten a second


def test_a_clock_that_was_hours_ahead_does_not_stop_it() -> None:
    row = state(tokens=0.0, tokens_at=NOW + timedelta(hours=3))
    assert refill(row, 1.0, NOW) == 0
    assert refill(row, 1.0, NOW + timedelta(seconds=1)) == 1


@given(
    rate=st.floats(0.01, 10_000),
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 500)), min_size=1, max_size=60),
)
def test_never_more_leaves_than_the_rate_and_one_burst(rate: float, steps: list[tuple[float, int]]) -> None:
    row, now, sent = state(), NOW, 0
    for pause, wanted in steps:
        now += timedelta(seconds=pause)
        count = min(wanted, refill(row, rate, now))
        spend(row, rate, count, now, wanted_more=wanted > count)
        sent += count
        assert sent <= rate * (now - NOW).total_seconds() + max(1.0, rate) + 1e-3
        if row.hold_until:
            assert row.hold_until > now - timedelta(microseconds=1)
            row.hold_until = None


@given(rate=st.floats(0.05, 200))
def test_the_rate_is_reached(rate: float) -> None:
    row, now, sent = state(), NOW, 0
    end = NOW + timedelta(seconds=60 / rate)
    while now < end:
        count = refill(row, rate, now)
        spend(row, rate, count, now, wanted_more=True)
        sent += count
        assert row.hold_until is not None
        now, row.hold_until = max(row.hold_until, now + timedelta(microseconds=1)), None
    assert sent >= 59


def test_a_refused_delivery_brings_the_breaker_no_nearer() -> None:
    row = state()
    run(row, *[ended(400) for _ in range(50)], down())
    assert (row.breaker, row.consecutive_failures, row.breaker_failures) == (BreakerState.CLOSED, 51, 1)
