"""Reading which integrations scan which repositories."""

from __future__ import annotations

import uuid
from collections.abc import Collection

from django.db.models import QuerySet

from access.principals import Principal
from access.selectors import visible
from integrations import registry
from integrations.choices import Status
from integrations.contract.scans import ScanSource
from integrations.models import Integration, RepositorySource

_HEAVY = ("integration__credentials", "integration__previous_credentials", "integration__config")


def all_sources() -> QuerySet[RepositorySource]:
    """Return every source with its repository and integration, without credentials, for the API and the admin to scope."""
    return RepositorySource.objects.select_related("repository", "integration").defer(*_HEAVY)


def working_sources() -> QuerySet[RepositorySource]:
    """Return the sources that are scanned by themselves: repository and integration are active."""
    return all_sources().filter(repository__active=True, integration__status=Status.ACTIVE, integration__deleted_at__isnull=True)


def scanning_integrations() -> QuerySet[Integration]:
    """Return the integrations that findings can be read from, without their credentials."""
    keys = [connector.key for connector in registry.with_capability(ScanSource)]
    return Integration.objects.filter(type__in=keys).defer("credentials", "previous_credentials")


def scanning_integrations_by_id(ids: Collection[uuid.UUID], who: Principal) -> dict[uuid.UUID, Integration]:
    """Return those among `ids` that the caller sees."""
    return {row.id: row for row in visible(scanning_integrations().filter(id__in=ids), who)} if ids else {}
