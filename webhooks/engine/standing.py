"""How a webhook stands after its attempts: breaker, holds, failing streak and counters. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.runtime import Runtime
from webhooks.choices import FAULTS, BreakerState, HoldReason, InactiveReason, Outcome
from webhooks.engine.types import Result
from webhooks.models import WebhookState

UNLIMITED = 1_000_000
LARGEST_SKEW = timedelta(seconds=30)


@dataclass(slots=True)
class Standing:
    """What became of a webhook in one batch, beside the changed state row itself."""

    started_failing: bool = False
    recovered: bool = False
    disable: InactiveReason = InactiveReason.NONE


def settle(state: WebhookState, results: Iterable[Result], runtime: Runtime, now: datetime) -> Standing:
    """Change `state` (in memory) by the attempts that ended, in the order in which they ended."""
    standing = Standing()
    for result in results:
        _count(state, result)
        if not result.verdict.told:
            continue
        if result.verdict.outcome is Outcome.SUCCESS:
            _succeed(state, result, standing)
        else:
            _fail(state, result, standing, runtime, now)
    return standing


def _count(state: WebhookState, result: Result) -> None:
    if result.verdict.outcome is Outcome.SUCCESS:
        state.success_count += 1
        state.pending_count -= 1
    elif result.verdict.outcome is Outcome.FAILED:
        state.failed_count += 1
        state.pending_count -= 1


def _succeed(state: WebhookState, result: Result, standing: Standing) -> None:
    # a success in the middle of a batch ends the streak, wherever the breaker stood
    if state.breaker != BreakerState.CLOSED:
        standing.recovered, standing.started_failing = not standing.started_failing, False
    state.breaker = BreakerState.CLOSED
    state.breaker_trips = state.breaker_failures = 0
    state.consecutive_failures = 0
    state.failing_since = None
    state.last_success_at = result.ended_at
    if state.hold_reason == HoldReason.BREAKER:
        state.hold_until, state.hold_reason = None, HoldReason.NONE


def _fail(state: WebhookState, result: Result, standing: Standing, runtime: Runtime, now: datetime) -> None:
    verdict = result.verdict
    state.last_failure_at = result.ended_at
    state.last_error = verdict.error[:300]
    if verdict.error_class in FAULTS and not (verdict.gone or verdict.hold or verdict.unhealthy):
        return  # nothing was sent: no reason to switch the webhook off, however long it lasts
    state.consecutive_failures += 1
    state.failing_since = state.failing_since or result.ended_at
    if verdict.gone:
        standing.disable = InactiveReason.GONE
        return
    if verdict.hold:
        _hold(state, now + timedelta(seconds=verdict.hold), verdict.hold_reason)
    if verdict.unhealthy:
        state.breaker_failures += 1
        _trip(state, standing, runtime, now)
    elif state.breaker != BreakerState.CLOSED and result.answer.status is not None:
        # it refused or throttled this delivery, but it is up again: no need to probe it one by one
        state.breaker, state.breaker_trips, state.breaker_failures = BreakerState.CLOSED, 0, 0
    failing_for = now - state.failing_since
    if failing_for >= timedelta(hours=runtime.disable_after_hours) and state.consecutive_failures > 1:
        standing.disable = standing.disable or InactiveReason.FAILING


def _trip(state: WebhookState, standing: Standing, runtime: Runtime, now: datetime) -> None:
    if state.breaker == BreakerState.OPEN or (state.breaker == BreakerState.CLOSED and state.breaker_failures < runtime.breaker_failures):
        return  # what was in flight when it opened says nothing new
    if state.breaker == BreakerState.CLOSED:
        standing.started_failing, standing.recovered = not standing.recovered, False
    state.breaker = BreakerState.OPEN
    state.breaker_trips = min(state.breaker_trips + 1, 30)
    seconds = min(runtime.breaker_first_hold_seconds * 2 ** (state.breaker_trips - 1), runtime.breaker_longest_hold_seconds)
    _hold(state, now + timedelta(seconds=seconds), HoldReason.BREAKER)


def _hold(state: WebhookState, until: datetime, reason: HoldReason) -> None:
    if state.hold_until is None or until > state.hold_until:
        state.hold_until, state.hold_reason = until, reason


def refill(state: WebhookState, rate: float | None, now: datetime) -> int:
    """Refill the token bucket of `rate` deliveries a second and return how many whole tokens it holds.

    The bucket holds one second's worth (at least one delivery), so a burst never exceeds the rate by more than that.
    """
    if not rate:
        return UNLIMITED
    capacity = max(1.0, rate)
    elapsed = (now - state.tokens_at).total_seconds() if state.tokens_at else capacity / rate
    state.tokens = min(capacity, state.tokens + max(0.0, elapsed) * rate)
    # never backwards by the little that the clocks of two machines differ: that time would be counted twice
    if elapsed > 0 or elapsed < -LARGEST_SKEW.total_seconds():
        state.tokens_at = now
    return int(state.tokens + 1e-6)


def spend(state: WebhookState, rate: float | None, count: int, now: datetime, *, wanted_more: bool) -> None:
    """Take `count` tokens; when the bucket is empty and more were wanted, hold the webhook until the next token."""
    if not rate:
        return
    state.tokens = max(0.0, state.tokens - count)
    if wanted_more and state.tokens < 1.0:
        _hold(state, now + timedelta(seconds=(1.0 - state.tokens) / rate), HoldReason.RATE_LIMIT)
