"""Days: availability and response times of one integration's scheduled checks, against its targets."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True)
class Day:
    """The scheduled checks of a UTC day. Milliseconds, over successful checks; None where there was none."""

    day: date
    checks: int = 0
    failures: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    unmeasured: int = 0
    """Not among the checks: the portal itself was at fault."""

    @property
    def availability(self) -> float | None:
        """Return the successful checks in percent; None without any check."""
        return availability(self.checks, self.failures)

    def available_enough(self, target: float | None) -> bool | None:
        """Say whether the target (percent) was met; None without a target or a check."""
        return None if target is None or self.availability is None else self.availability >= target

    def fast_enough(self, target_ms: int | None) -> bool | None:
        """Say whether the 95th percentile was within the target; None without a target or a successful check."""
        return None if target_ms is None or self.p95_ms is None else self.p95_ms <= target_ms


@dataclass(frozen=True)
class Budget:
    """How many checks may fail under the availability target, out of those made; `left` in percent, below 0 when overdrawn."""

    target: float
    checks: int
    failures: int

    @property
    def allowed(self) -> float:
        """Return how many failures the target allows."""
        return round(self.checks * (100 - self.target) / 100, 3)

    @property
    def left(self) -> float:
        """Return what is left in percent; a target of 100 % leaves nothing to spend."""
        if not self.failures:
            return 100.0
        return round(100 * (1 - self.failures / self.allowed), 1) if self.allowed else -100.0


def availability(checks: int, failures: int) -> float | None:
    """Return the successful checks in percent, rounded down so that 100 means all."""
    return math.floor((checks - failures) / checks * 100_000) / 1000 if checks else None


def day_of(day: date, checks: Iterable[tuple[bool | None, float | None]]) -> Day:
    """Return the summary of (ok, milliseconds) pairs; ok is None for what was not measured."""
    given = list(checks)
    pairs = [(ok, ms) for ok, ms in given if ok is not None]
    times = sorted(ms for ok, ms in pairs if ok and ms is not None)
    failures = sum(not ok for ok, _ in pairs)
    return Day(day, len(pairs), failures, percentile(times, 50), percentile(times, 95), percentile(times, 99), len(given) - len(pairs))


def percentile(ordered: Sequence[float], share: int) -> float | None:
    """Return the smallest value that at least `share` per cent of the ordered values don't exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else None


def start_of(day: date) -> datetime:
    """Return the first moment of a UTC day."""
    return datetime.combine(day, time.min, UTC)


def days_before(day: date, number: int) -> list[date]:
    """Return the `number` days before this one, oldest first."""
    return [day - timedelta(days=back) for back in range(number, 0, -1)]
