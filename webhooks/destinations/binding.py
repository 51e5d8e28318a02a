"""From webhooks to the destinations that their integrations name, each made once per batch with its credentials decrypted."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from django.db import DatabaseError

from core.errors import InvalidInput, RepoGuardError
from core.fields import DecryptError
from core.http.masking import Mask, secret_texts
from core.models.outbound import CallPurpose
from integrations.calls import connector_for
from integrations.choices import Status
from integrations.contract.connector import Connector
from integrations.contract.outbound import CallDestination, Destination, DestinationKind, HttpDestination
from integrations.models import Integration
from integrations.registry import find
from webhooks.choices import ErrorClass

logger = logging.getLogger(__name__)


class Route(NamedTuple):
    """Which integration a webhook goes through, and its options for that one's destination."""

    integration_id: uuid.UUID
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """The destination of a webhook as one batch sees it. Not for logs: `repr` shows names only.

    `problem` says why nothing can be sent; `fault` its class where it is the portal's own, which says nothing about the
    service: credentials that can't be decrypted, an internal error. `mask` hides its credentials in whatever is logged.
    """

    integration_id: uuid.UUID
    name: str
    title: str = ""
    connector: HttpDestination | CallDestination | None = field(default=None, repr=False)
    integration: Integration | None = field(default=None, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    mask: Mask = field(default_factory=lambda: Mask(()), repr=False)
    calls: bool = False
    """It makes calls in a thread, rather than one request on the engine's event loop."""
    problem: str = ""
    fault: ErrorClass = ErrorClass.NONE

    @property
    def connector_takes_templates(self) -> bool:
        """Say whether a payload template's body may take the place of the connector's."""
        return isinstance(self.connector, HttpDestination) and self.connector.takes_templates and not self.calls


def integration_calls(integration: Integration) -> bool:
    """Say whether webhooks with an integration's destination need a thread for each delivery; not where it takes no events."""
    try:
        connector = find(integration.type)
    except InvalidInput:
        return False
    return makes_calls(connector, integration.config)


def is_signed(integration: Integration | None) -> bool:
    """Say whether what a webhook sends through an integration, or to a URL of its own, carries signatures made with its secret."""
    if integration is None:
        return True
    try:
        connector = find(integration.type)
    except InvalidInput:
        return False
    return issubclass(connector, HttpDestination) and connector.signed and not makes_calls(connector, integration.config)


def makes_calls(connector: type[Connector], config: Mapping[str, Any]) -> bool:
    """Say whether a connector delivers by calls under a configuration."""
    return issubclass(connector, Destination) and connector.destination_kind(config) == DestinationKind.CALL


def bind(routes: Mapping[uuid.UUID, Route]) -> dict[uuid.UUID, Bound]:
    """Return the destination of each webhook, by the webhook's id.

    One that can't be used says so in `problem` and harms no other. Raises only DatabaseError.
    """
    found = {one.integration_id: one for one in _bound({route.integration_id for route in routes.values()})}
    return {
        webhook_id: replace(found.get(route.integration_id) or _gone(route.integration_id), options=route.options)
        for webhook_id, route in routes.items()
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
    problem, fault = "", ErrorClass.NONE
    try:
        return _usable(integration)
    except DatabaseError:
        raise
    except DecryptError as error:
        problem, fault = f"The credentials of the integration {integration.name} can't be read: {error}", ErrorClass.UNREADABLE_SECRET
    except RepoGuardError as error:
        problem = error.message
    except Exception as error:  # the text of a connector's fault may hold what is stored
        logger.error("destination_unusable", extra={"integration": str(integration.id), "fault": type(error).__name__})
        problem = f"The integration {integration.name} can't be used ({type(error).__name__}): save its configuration anew."
        fault = ErrorClass.INTERNAL
    return Bound(integration.id, integration.name, problem=problem, fault=fault)


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
    mask = Mask({*secret_texts(integration.credentials), *secret_texts(sent)})
    return Bound(integration.id, integration.name, connector.title, connector, integration, mask=mask, calls=calls)


def _gone(integration_id: uuid.UUID) -> Bound:
    return Bound(integration_id, "", problem="The integration of this webhook was deleted: give the webhook another.")
