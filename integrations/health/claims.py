"""Which checks are due, and who makes them: leases on the narrow health rows, taken by compare-and-set."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from core.ids import uuid7
from integrations.choices import Criticality, Status
from integrations.contract.connector import Checker
from integrations.health.record import enroll, interval_of
from integrations.models import Integration, IntegrationHealth
from integrations.registry import with_capability

# a check may make a few calls, each of which ends at the integration's own timeout
_CALLS_WITHIN_A_LEASE = 4
_LEASE_MARGIN = timedelta(seconds=30)
_ENROLLED_AT_ONCE = 500


@dataclass(frozen=True)
class Claim:
    """A check that this process makes: its outcome is recorded under the token only."""

    integration: Integration
    token: uuid.UUID

    @property
    def id(self) -> uuid.UUID:
        """Return the integration's: it has one check at a time."""
        return self.integration.id


def is_due() -> bool:
    """Say whether a claim could find a check, without taking a lock."""
    return _due(timezone.now()).exists()


def claim(limit: int) -> list[Claim]:
    """Lease up to `limit` due checks, the longest overdue first; fewer when another process was quicker."""
    if limit <= 0:
        return []
    now = timezone.now()
    rows = list(_due(now).order_by("next_check_at").values_list("pk", "lease_token", "integration__timeout_seconds")[:limit])
    taken: dict[uuid.UUID, uuid.UUID] = {}
    for pk, seen, timeout in rows:
        token, until = uuid7(), now + timedelta(seconds=timeout) * _CALLS_WITHIN_A_LEASE + _LEASE_MARGIN
        # what was seen must still stand: two processes that look at the same moment don't both get it
        row = IntegrationHealth.objects.filter(pk=pk, lease_token=seen, next_check_at__lte=now)
        if row.update(lease_token=token, lease_until=until):
            taken[pk] = token
    # credentials are read by the check itself, so that one that can't be decrypted spoils no other
    found = Integration.objects.defer("credentials", "previous_credentials").filter(pk__in=taken) if taken else []
    return [Claim(integration, taken[integration.pk]) for integration in found]


def prepare() -> None:
    """Give new integrations their health rows, and take a shorter interval into account at once."""
    enroll(*Integration.objects.only("id").filter(health__isnull=True).order_by("id")[:_ENROLLED_AT_ONCE])
    now = timezone.now()
    for criticality in Criticality.values:
        latest = now + interval_of(criticality)
        late = IntegrationHealth.objects.filter(integration__criticality=criticality, next_check_at__gt=latest)
        late.update(next_check_at=latest)


def checked_types() -> list[str]:
    """Return the keys of the connectors that can test their connection."""
    return [connector.key for connector in with_capability(Checker)]


def _due(now: datetime) -> QuerySet[IntegrationHealth]:
    free = Q(lease_token__isnull=True) | Q(lease_until__lt=now)
    rows = IntegrationHealth.objects.filter(free, next_check_at__lte=now, integration__status=Status.ACTIVE)
    return rows.filter(integration__type__in=checked_types())
