"""How checks make a state. A pure function, so that every order of successes and failures can be tried out.

An integration is unhealthy after three failures in a row, or at once when its circuit breaker is open, and healthy again after
two successes in a row: a flapping service changes its state seldom. Degraded means that three answers in a row took longer than
the target.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from integrations.choices import Condition, HealthState

FAILURES_TO_UNHEALTHY = 3
SUCCESSES_TO_RECOVER = 2
SLOW_TO_DEGRADE = 3
FAST_TO_MEND = 2
MOST_LOOKED_AT = max(FAILURES_TO_UNHEALTHY, SUCCESSES_TO_RECOVER, SLOW_TO_DEGRADE, FAST_TO_MEND)


@dataclass(frozen=True)
class Seen:
    """One check, as far as the state depends on it."""

    ok: bool
    response_ms: float | None = None


def next_state(present: str, newest_first: Sequence[Seen], *, breaker_open: bool = False, target_ms: int | None = None) -> HealthState:
    """Return the state after the newest check; the others are those before it, newest first, as many as there are."""
    state = HealthState(present)
    if not newest_first[0].ok:
        failures = _run(newest_first, lambda seen: not seen.ok)
        return HealthState.UNHEALTHY if breaker_open or failures >= FAILURES_TO_UNHEALTHY else state
    if state == HealthState.UNHEALTHY:
        enough = _run(newest_first, lambda seen: seen.ok) >= SUCCESSES_TO_RECOVER
        return HealthState.HEALTHY if enough else HealthState.UNHEALTHY
    if _run(newest_first, lambda seen: is_slow(seen, target_ms)) >= SLOW_TO_DEGRADE:
        return HealthState.DEGRADED
    if state == HealthState.DEGRADED:
        fast = _run(newest_first, lambda seen: seen.ok and not is_slow(seen, target_ms))
        return HealthState.HEALTHY if fast >= FAST_TO_MEND else HealthState.DEGRADED
    return HealthState.HEALTHY


def condition_of(state: str, failures: int, *, breaker_open: bool) -> Condition:
    """Return what people are told: `failures` are the checks that failed since the last good one; half open counts as open."""
    found = HealthState(state)
    if found == HealthState.UNHEALTHY:
        return Condition.UNHEALTHY
    if breaker_open:
        return Condition.CALLS_FAIL
    if found == HealthState.UNKNOWN:
        return Condition.NEVER_WORKED if failures else Condition.UNKNOWN
    if failures:
        return Condition.CHECKS_FAIL
    return Condition.SLOW if found == HealthState.DEGRADED else Condition.HEALTHY


def is_slow(seen: Seen, target_ms: int | None) -> bool:
    """Say whether a good answer took longer than the target; without a target none does."""
    return seen.ok and target_ms is not None and seen.response_ms is not None and seen.response_ms > target_ms


def _run(newest_first: Sequence[Seen], belongs: Callable[[Seen], bool]) -> int:
    """Return how many of the newest belong together before the first that does not."""
    return next((place for place, seen in enumerate(newest_first) if not belongs(seen)), len(newest_first))
