"""What is told of the findings that a scan opened, reopened or fixed: worked out while they are at hand, however many there are."""

from __future__ import annotations

import heapq
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator

from scans.events import MOST_SINGLE
from scans.severities import rank


class Told(list[uuid.UUID]):
    """Ids of findings; of those among them that count, how many there are of each severity, and which are the worst."""

    def __init__(self, ids: Iterable[uuid.UUID] = ()) -> None:
        super().__init__(ids)
        self.by_severity: Counter[str] = Counter()
        self._worst: list[tuple[int, uuid.UUID]] = []

    def add(self, findings: Iterable[tuple[uuid.UUID, str, bool]]) -> None:
        """Add findings: id, severity, and whether it counts (nobody triaged or suppressed it)."""
        self._worst = heapq.nsmallest(MOST_SINGLE, [*self._worst, *self._counting(findings)])

    def _counting(self, findings: Iterable[tuple[uuid.UUID, str, bool]]) -> Iterator[tuple[int, uuid.UUID]]:
        for id, severity, counts in findings:
            self.append(id)
            if counts:
                self.by_severity[severity] += 1
                yield -rank(severity), id

    @property
    def worst(self) -> list[uuid.UUID]:
        """Return the worst of those that count, the worst first."""
        return [id for _, id in self._worst]
