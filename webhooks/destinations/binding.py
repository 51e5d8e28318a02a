"""From webhooks to the destinations that their integrations name, each made once per batch with its credentials decrypted."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import DatabaseError

from core.errors import RepoGuardError
from core.fields import DecryptError
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.choices import Status
from integrations.contract.connector import Connector
from integrations.contract.outbound import CallDestination, Destination, DestinationKind, HttpDestination
from integrations.models import Integration

logger = logging.getLogger(__name__)
_SHORTEST_SECRET = 5


@dataclass(frozen=True, slots=True)
class Bound:
    """The destination of a webhook as one batch sees it. Not for logs: `repr` shows names only.

    `problem` says why nothing can be sent; `unreadable` that it is stored credentials which can't be decrypted. `secrets` are
    the texts that no log may show.
    """

    integration_id: uuid.UUID
    name: str
    title: str = ""
    connector: HttpDestination | CallDestination | None = field(default=None, repr=False)
    integration: Integration | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    calls: bool = False
    """It makes calls in a thread, rather than one request on the engine's event loop."""
    problem: str = ""
    unreadable: bool = False


def makes_calls(connector: type[Connector], config: Mapping[str, Any]) -> bool:
    """Say whether webhooks with this connector's destination need a thread for each delivery."""
    return issubclass(connector, Destination) and connector.destination_kind(config) == DestinationKind.CALL


def bind(wanted: Mapping[uuid.UUID, tuple[uuid.UUID, Mapping[str, Any]]]) -> dict[uuid.UUID, Bound]:
    """Return the destination of each webhook, given the id of its integration and its options: {webhook id: (integration, options)}.

    One that can't be used says so in `problem` and harms no other. Raises only DatabaseError.
    """
    found = {one.integration_id: one for one in _bound({integration_id for integration_id, _ in wanted.values()})}
    return {
        webhook_id: replace(found.get(integration_id) or _gone(integration_id), options=options)
        for webhook_id, (integration_id, options) in wanted.items()
    }


def _bound(ids: Collection[uuid.UUID]) -> Iterator[Bound]:
    if not ids:
        return
    rows = Integration.objects.filter(id__in=ids).defer("previous_credentials")
    try:
        integrations = list(rows)
    except DatabaseError:
        raise
    except Exception:  # one row that can't be read must not keep the others from leaving: each is read by itself below
        integrations = list(rows.defer("previous_credentials", "credentials"))
    for integration in integrations:
        yield _bound_one(integration)


def _bound_one(integration: Integration) -> Bound:
    problem, unreadable = "", False
    try:
        return _usable(integration)
    except DatabaseError:
        raise
    except DecryptError as error:
        problem, unreadable = f"The credentials of the integration {integration.name} can't be read: {error}", True
    except RepoGuardError as error:
        problem = error.message
    except Exception as error:  # the text of a connector's fault may hold what is stored
        logger.error("destination_unusable", extra={"integration": str(integration.id), "fault": type(error).__name__})
        problem = f"The integration {integration.name} can't be used ({type(error).__name__}): save its configuration anew."
    return Bound(integration.id, integration.name, problem=problem, unreadable=unreadable)


def _usable(integration: Integration) -> Bound:
    if integration.status != Status.ACTIVE:
        sentence = f"The integration {integration.name} is inactive: activate it, or give the webhook another."
        return Bound(integration.id, integration.name, problem=sentence)
    connector = connector_for(integration, CallPurpose.DESTINATION)
    if not isinstance(connector, HttpDestination | CallDestination):
        sentence = f"The integration {integration.name} ({connector.title}) takes no events: give the webhook another."
        return Bound(integration.id, integration.name, problem=sentence)
    calls = makes_calls(type(connector), integration.config)
    # those of a request are known here in the form in which they are sent; those of calls are the door's affair
    sent = [] if calls else connector.door.auth.secrets()
    secrets = tuple(sorted({*_texts(integration.credentials), *_texts(sent)}, key=len, reverse=True))
    return Bound(integration.id, integration.name, connector.title, connector, integration, secrets=secrets, calls=calls)


def _gone(integration_id: uuid.UUID) -> Bound:
    return Bound(integration_id, "", problem="The integration of this webhook was deleted: give the webhook another.")


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a JSON value that are long enough to be secrets."""
    if isinstance(value, str):
        if len(value) >= _SHORTEST_SECRET:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
