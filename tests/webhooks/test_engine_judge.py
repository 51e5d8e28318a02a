from __future__ import annotations

from typing import Any

import pytest

from core.http.messages import Failure
from tests.webhooks.engine_kit import reply
from webhooks.choices import ErrorClass, HoldReason, Outcome
from webhooks.engine.judge import LONGEST_RETRY_AFTER, judge
from webhooks.engine.types import Verdict

pytestmark = pytest.mark.once
SCHEDULE = (10.0, 1000.0)


def verdict(status: int | None, *, step: int = 1, schedule: tuple[float, ...] = SCHEDULE, jitter: float = 0.5, **answer: Any) -> Verdict:
    return judge(reply(status, **answer), step=step, schedule=schedule, random=lambda: jitter)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_any_2xx_is_a_success(status: int) -> None:
    assert verdict(status) == Verdict(Outcome.SUCCESS)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 406, 409, 411, 413, 415, 418, 422, 426, 428, 431, 451, 499])
def test_other_4xx_are_final(status: int) -> None:
    found = verdict(status)
    assert (found.outcome, found.error_class, found.delay) == (Outcome.FAILED, ErrorClass.CLIENT_ERROR, None)
    assert (found.exhausted, found.gone, found.unhealthy, found.hold) == (False, False, False, None)
    assert str(status) in found.error


@pytest.mark.parametrize("status", [408, 425, 500, 501, 502, 503, 504, 505, 507, 511, 520, 529, 599])
def test_these_are_retried_and_count_for_the_breaker(status: int) -> None:
    found = verdict(status)
    assert (found.outcome, found.error_class, found.delay) == (Outcome.RETRY, ErrorClass.SERVER_ERROR, 10.0)
    assert found.unhealthy
    assert str(status) in found.error


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_redirects_are_failures_that_are_retried(status: int) -> None:
    found = verdict(status, headers={"location": "https://elsewhere.example.com"})
    assert (found.outcome, found.error_class, found.delay) == (Outcome.RETRY, ErrorClass.REDIRECT, 10.0)
    assert "never followed" in found.error


def test_410_is_final_and_disables() -> None:
    found = verdict(410)
    assert (found.outcome, found.error_class, found.gone, found.exhausted) == (Outcome.FAILED, ErrorClass.GONE, True, False)


def test_410_whose_answer_broke_off_is_retried() -> None:
    found = verdict(410, error_class="disconnected", error="It broke off.")
    assert (found.outcome, found.gone) == (Outcome.RETRY, False)


@pytest.mark.parametrize("failure", [Failure.ADDRESS_REFUSED, Failure.INVALID_URL])
def test_what_the_guard_refuses_is_final(failure: Failure) -> None:
    found = verdict(None, error_class=failure.value, error="10.0.0.1 is private.")
    assert (found.outcome, found.error_class.value, found.error) == (Outcome.FAILED, failure.value, "10.0.0.1 is private.")
    assert not found.unhealthy


@pytest.mark.parametrize("failure", sorted(set(Failure) - {Failure.NONE, Failure.ADDRESS_REFUSED, Failure.INVALID_URL}))
def test_every_other_failure_of_the_client_is_retried(failure: Failure) -> None:
    found = verdict(None, error_class=failure.value, error="Why.")
    assert (found.outcome, found.error_class.value, found.delay, found.unhealthy) == (
        Outcome.RETRY,
        failure.value,
        10.0,
        failure is not Failure.INTERNAL,  # the portal's own fault says nothing about the endpoint
    )


def test_a_2xx_that_broke_off_is_no_success() -> None:
    assert verdict(200, error_class="disconnected", error="Cut.").outcome is Outcome.RETRY


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "hold", "delay"),
    [(3.0, 3.0, 10.0), (60.0, 60.0, 60.0), (1e9, LONGEST_RETRY_AFTER, LONGEST_RETRY_AFTER), (0.0, 0.0, 10.0), (-5.0, 0.0, 10.0)],
)
def test_retry_after_is_obeyed(status: int, asked: float, hold: float, delay: float) -> None:
    found = verdict(status, retry_after=asked)
    assert (found.outcome, found.delay, found.hold, found.hold_reason) == (Outcome.RETRY, delay, hold, HoldReason.RETRY_AFTER)


def test_retry_after_of_other_answers_is_not_obeyed() -> None:
    assert verdict(500, retry_after=60.0).hold is None
    assert verdict(404, retry_after=60.0).outcome is Outcome.FAILED


@pytest.mark.parametrize(("step", "hold"), [(1, 10.0), (2, 60.0)])
def test_429_without_retry_after_holds_for_the_delay_but_at_most_a_minute(step: int, hold: float) -> None:
    found = verdict(429, step=step)
    assert (found.hold, found.hold_reason, found.unhealthy) == (hold, HoldReason.THROTTLED, False)
    assert found.error_class is ErrorClass.RATE_LIMITED


@pytest.mark.parametrize("status", [502, 504])
def test_a_proxy_without_its_application_is_given_five_seconds(status: int) -> None:
    assert (verdict(status).hold, verdict(status).hold_reason) == (5.0, HoldReason.THROTTLED)


def test_503_without_retry_after_holds_nothing() -> None:
    assert (verdict(503).hold, verdict(503).hold_reason) == (None, HoldReason.NONE)


@pytest.mark.parametrize("status", [500, 503, 408])
def test_the_last_attempt_exhausts(status: int) -> None:
    found = verdict(status, step=3)
    assert (found.outcome, found.exhausted, found.unhealthy, found.delay) == (Outcome.FAILED, True, True, None)


def test_throttling_holds_the_webhook_after_the_last_attempt_too_and_is_no_sickness() -> None:
    found = verdict(429, schedule=())
    assert (found.exhausted, found.hold, found.hold_reason, found.unhealthy) == (True, 60.0, HoldReason.THROTTLED, False)
    assert verdict(429, schedule=(), retry_after=7.0).hold == 7.0


@pytest.mark.parametrize(("jitter", "delay"), [(0.0, 9.0), (0.5, 10.0), (0.999, 10.998)])
def test_delays_are_spread(jitter: float, delay: float) -> None:
    assert verdict(500, jitter=jitter).delay == pytest.approx(delay)


def test_each_step_takes_its_own_delay() -> None:
    assert [verdict(500, step=step).delay for step in (1, 2, 3)] == [10.0, 1000.0, None]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 413, 415, 422, 425, 429, 500, 502, 503, 504, 302, 410])
def test_every_sentence_says_what_to_do(status: int) -> None:
    sentence = verdict(status).error
    assert sentence.startswith("The endpoint answered")
    assert sentence[-1] in ".?"
    assert len(sentence) < 300


@pytest.mark.parametrize("status", [101, 600, 999])
def test_a_status_that_ends_nothing_is_a_protocol_error(status: int) -> None:
    found = verdict(status)
    assert (found.outcome, found.error_class, found.unhealthy) == (Outcome.RETRY, ErrorClass.PROTOCOL, True)
