"""What is told of the findings that a scan opened, reopened or fixed: worked out while they are at hand, however many there are."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable

from scans.severities import rank


class Told(list[uuid.UUID]):
    """Ids of findings; of those among them that count, how many there are of each severity, and which are the worst."""

    def __init__(self, ids: Iterable[uuid.UUID] = ()) -> None:
        super().__init__(ids)
        self._counting: dict[str, list[uuid.UUID]] = defaultdict(list)

    def add(self, id: uuid.UUID, severity: str, *, counts: bool) -> None:
        """Add a finding; it counts where nobody triaged or suppressed it."""
        self.append(id)
        if counts:
            self._counting[severity].append(id)

    @property
    def by_severity(self) -> Counter[str]:
        """Return how many of those that count there are of each severity."""
        return Counter({severity: len(ids) for severity, ids in self._counting.items()})

    def worst(self, most: int) -> list[uuid.UUID]:
        """Return the worst of those that count, the worst first, the older first among equals."""
        found: list[uuid.UUID] = []
        for severity in sorted(self._counting, key=rank, reverse=True):
            found += sorted(self._counting[severity], key=lambda id: id.int)[: most - len(found)]
        return found
