"""The addresses that platforms publish for their webhooks: read daily, or from a file where the portal does not reach them.

The receive path knows them as part of the remembered source. So a changed list changes the sources that go by it.
"""

from __future__ import annotations

import ipaddress
import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from access.addresses import parse_cidrs
from core.errors import InvalidInput, OutboundError, RepoGuardError
from core.housekeeping import Batch, Job, Step
from core.http.client import Door
from core.http.door import NoAuth, Terms
from core.texts import storable
from integrations.contract.addresses import PublishedAddresses
from integrations.registry import with_capability
from webhooks.inbound.selectors import live_sources
from webhooks.models import InboundSource, ProviderAddresses

logger = logging.getLogger(__name__)
REFRESH_AFTER = timedelta(hours=20)
MOST_NETWORKS = 500
_WIDEST = {4: 8, 6: 16}  # no platform owns more: such a list would let everybody in
_CALLER = uuid.UUID("0f7f6d5e-3b0c-5f0e-9b62-5f6a6c0d7a11")  # whose calls they are in the log: no integration's


@dataclass(frozen=True)
class Known:
    """What is known of a provider's addresses; `said` tells people where it is from, `error` why it could not be renewed."""

    networks: tuple[str, ...]
    said: str
    error: str = ""


def publishers() -> dict[str, type[PublishedAddresses]]:
    """Return the connectors whose platforms publish their addresses, by key."""
    found = with_capability(PublishedAddresses)
    return {connector.key: connector for connector in found if issubclass(connector, PublishedAddresses)}


def known(provider: str) -> Known:
    """Return the networks of a publisher: those that were read last, else those that ship with the connector."""
    row = ProviderAddresses.objects.filter(provider=provider).first()
    snapshot = publishers()[provider].addresses_snapshot
    error = f"The refresh of {row.failed_at:%Y-%m-%d %H:%M} UTC failed: {row.error}" if row and row.failed_at else ""
    if row is None or not row.networks:
        return Known(snapshot.networks, f"{len(snapshot.networks)} networks of {snapshot.dated}, which ship with the portal", error)
    return Known(tuple(row.networks), f"{len(row.networks)} networks, read {row.read_at:%Y-%m-%d %H:%M} UTC from {row.origin}", error)


def refresh(provider: str) -> Known:
    """Read the platform's list anew; a failure is noted, and the networks stay. Raises OutboundError and InvalidInput."""
    connector = publishers()[provider]
    door = Door(Terms(_CALLER, f"addresses of {connector.title}"), NoAuth())
    return _read(connector, connector.addresses_url, lambda: door.request("GET", connector.addresses_url).json())


def load(provider: str, document: Any, name: str) -> Known:
    """Take the platform's list from a file. Raises InvalidInput."""
    return _read(publishers()[provider], name, lambda: document)


def _read(connector: type[PublishedAddresses], origin: str, ask: Callable[[], Any]) -> Known:
    now = timezone.now()
    try:
        networks = _checked(connector.addresses_in(ask()))
    except (OutboundError, InvalidInput) as error:
        said = {"failed_at": now, "error": storable(error.message)[:1000]}
        ProviderAddresses.objects.update_or_create(provider=connector.key, defaults=said)
        logger.warning("addresses_not_refreshed", extra={"provider": connector.key})
        raise
    _store(connector.key, networks, storable(origin)[:300], now)
    return known(connector.key)


def _checked(networks: Iterable[str]) -> list[str]:
    found = parse_cidrs(networks)
    wide = [one for one in map(ipaddress.ip_network, found) if one.prefixlen < _WIDEST[one.version]]
    if not found or len(found) > MOST_NETWORKS or wide:
        problem = f"{wide[0]} is far too wide" if wide else f"it has {len(found)} networks"
        raise InvalidInput(f"The list of addresses can't be right: {problem}. The former one stays.")
    return found


def _store(provider: str, networks: list[str], origin: str, now: datetime) -> None:
    with transaction.atomic():
        before = set(known(provider).networks)
        values = {"networks": networks, "read_at": now, "origin": origin, "failed_at": None, "error": ""}
        ProviderAddresses.objects.update_or_create(provider=provider, defaults=values)
        if set(networks) != before:
            # what processes remember of them holds the former networks
            InboundSource.objects.filter(provider=provider, provider_addresses=True).update(updated_at=now)


def refresh_due(batch: Batch) -> Step:
    """Read the lists anew that a source goes by, once a day; one that failed at the next run again."""
    wanted = set(live_sources().filter(provider_addresses=True, provider__in=publishers()).order_by().values_list("provider", flat=True))
    young = ProviderAddresses.objects.filter(provider__in=wanted, failed_at=None, read_at__gt=timezone.now() - REFRESH_AFTER)
    due = wanted - set(young.values_list("provider", flat=True))
    return Step(len(due) if batch.dry_run else sum(map(_refreshed, sorted(due))))


def _refreshed(provider: str) -> bool:
    try:
        refresh(provider)
    except RepoGuardError:
        return False  # it is noted
    return True


JOBS = (
    Job("webhooks.provider_addresses", timedelta(hours=6), "Reads anew, once a day, which addresses platforms send from.", refresh_due),
)
