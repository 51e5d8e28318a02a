"""Counting and ranking: the arithmetic of the measures, without a database."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappush, heapreplace
from typing import Any

from builds.choices import FAILED, JUDGED, BuildStatus

PERCENTILES = (50, 90, 95)
_FAILED = frozenset(FAILED)


def rate(part: int, whole: int) -> float | None:
    """Return a share from 0 to 1, to six places; None of nothing."""
    return round(part / whole, 6) if whole else None


def seconds(value: float | None) -> float | None:
    """Return a length of time to the millisecond."""
    return None if value is None else round(value, 3)


def nearest_rank(ordered: Sequence[float], percent: int) -> float | None:
    """Return the smallest value that at least `percent` of 100 values don't exceed, of values in order; None of nothing."""
    return ordered[(percent * len(ordered) + 99) // 100 - 1] if ordered else None


def percentiles(values: Iterable[float]) -> dict[str, Any]:
    """Return how many values there are, and their p50, p90 and p95 by nearest rank."""
    ordered = array("d", sorted(values))
    named = {f"p{percent}": seconds(nearest_rank(ordered, percent)) for percent in PERCENTILES}
    return {"count": len(ordered), **named}


def recovery(values: array[float]) -> dict[str, Any]:
    """Return mean, median and longest of times to recovery, in seconds; the sum is exact, so their order doesn't matter."""
    ordered = sorted(values)
    return {
        "recovered": len(ordered),
        "mean_seconds": seconds(math.fsum(ordered) / len(ordered)) if ordered else None,
        "median_seconds": seconds(nearest_rank(ordered, 50)),
        "longest_seconds": seconds(ordered[-1]) if ordered else None,
    }


@dataclass
class Tally:
    """Builds by status; completed ones are those that succeeded, failed or timed out."""

    by_status: Counter[str] = field(default_factory=Counter)

    @property
    def completed(self) -> int:
        """Return how many say something about the code."""
        return sum(self.by_status[status] for status in JUDGED)

    @property
    def failed(self) -> int:
        """Return how many failed or timed out."""
        return sum(self.by_status[status] for status in FAILED)

    def rates(self) -> dict[str, Any]:
        """Return completed, failed and the failure rate."""
        return {"completed": self.completed, "failed": self.failed, "failure_rate": rate(self.failed, self.completed)}

    def counts(self) -> dict[str, int]:
        """Return the number of each status."""
        return {status.value: self.by_status[status] for status in BuildStatus}


class Top:
    """Keeps the entries with the highest keys of however many are offered; keys must differ."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._heap: list[tuple[Any, dict[str, Any]]] = []

    def offer(self, key: tuple[Any, ...], entry: dict[str, Any]) -> None:
        """Keep an entry if it is among the highest so far."""
        if len(self._heap) < self.most:
            heappush(self._heap, (key, entry))
        elif key > self._heap[0][0]:
            heapreplace(self._heap, (key, entry))

    def entries(self) -> list[dict[str, Any]]:
        """Return what was kept, the highest first."""
        return [entry for _key, entry in sorted(self._heap, key=lambda item: item[0], reverse=True)]


def last_first(*names: str) -> tuple[tuple[int, ...], ...]:
    """Return a key that is higher the earlier the names stand in the order of their characters."""
    return tuple((*(-ord(character) for character in name), 1) for name in names)


def is_red(status: str) -> bool:
    """Say whether a status counts as failed."""
    return status in _FAILED
