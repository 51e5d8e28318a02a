"""The event of findings that became known as exploited: one for a repository and refresh, however many there are."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from core import bus
from integrations.models import Repository
from scans.digests import TOP, short
from scans.models import Finding

TYPE = "finding.exploited"


@dataclass
class News:
    """What is to be told of a repository; plain enough to be kept while a worker gives way or dies."""

    by_severity: Counter[str] = field(default_factory=Counter)
    worst: list[tuple[int, str]] = field(default_factory=list)
    """Rank and id of the worst."""

    @classmethod
    def loaded(cls, value: Any) -> News:
        """Return what saved() returned."""
        return cls(Counter(value["by_severity"]), [(rank, id) for rank, id in value["worst"]]) if value else cls()

    def saved(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"by_severity": dict(self.by_severity), "worst": [list(one) for one in self.worst]}

    def add(self, ids: Collection[uuid.UUID]) -> None:
        """Take findings in: one statement, none without any."""
        if not ids:
            return
        found = list(Finding.objects.filter(id__in=ids).values_list("severity_rank", "id", "severity"))
        self.by_severity.update(severity for _, _, severity in found)
        worst = [*self.worst, *((rank, str(id)) for rank, id, _ in found)]
        self.worst = sorted(worst, key=lambda one: (-one[0], one[1]))[:TOP]


def announce(news: News, repository: Repository, cause: str) -> None:
    """Publish the event, in the caller's transaction and once for each cause; nothing where nothing is new."""
    if not news.worst:
        return
    named = Finding.objects.in_bulk([id for _, id in news.worst])
    shown = [short(named[uuid.UUID(id)]) for _, id in news.worst if uuid.UUID(id) in named]
    if not shown:
        return  # they were deleted meanwhile
    data = {
        "repository": repository.full_name,
        "ref": repository.default_branch,
        **shown[0],
        "count": news.by_severity.total(),
        "by_severity": dict(news.by_severity),
        "findings": shown,
    }
    key = f"{TYPE}:{repository.id}:{cause}"
    bus.publish(TYPE, data, owner_id=repository.owner_id, repository_id=repository.id, idempotency_key=key)
