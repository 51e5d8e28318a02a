"""The policy in force for a repository: its own, else the default one, else what is built in."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from django.db.models import Q

from scans.gates.conditions import DEFAULT, Condition, load
from scans.models import Policy


@dataclass(frozen=True)
class InForce:
    """What a policy asks for."""

    name: str = "built-in default"
    version: int = 0
    conditions: tuple[Condition, ...] = DEFAULT
    sla_days: Mapping[str, int] = field(default_factory=dict)

    @property
    def depends_on_time(self) -> bool:
        """Say whether what it decides may change without a scan or anybody's decision."""
        return any(one.depends_on_time for one in self.conditions)

    @classmethod
    def of(cls, policy: Policy) -> InForce:
        """Return what a stored policy asks for."""
        return cls(policy.name, policy.version, load(policy.conditions), policy.sla_days)


def in_force(repository_id: uuid.UUID) -> InForce:
    """Return the policy of a repository. One statement."""
    return in_force_for([repository_id])[repository_id]


def in_force_for(repository_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, InForce]:
    """Return the policy of each repository. One statement."""
    rows = Policy.objects.filter(Q(repository_id__in=repository_ids) | Q(repository__isnull=True))
    by_repository = {row.repository_id: InForce.of(row) for row in rows}
    default = by_repository.get(None, InForce())
    return {id: by_repository.get(id, default) for id in repository_ids}
