"""Where a webhook sends: to a URL of its own, or to the destination of an integration. The rules, for API, admin and commands."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, NamedTuple

from access.principals import Principal
from access.selectors import visible
from core.errors import InvalidInput, NotAllowed
from integrations.choices import Status
from integrations.contract.outbound import Destination
from integrations.contract.values import validate_options
from integrations.models import Integration
from integrations.registry import find, with_capability


class Route(NamedTuple):
    """Where a webhook sends: `options` are those of the integration's destination; with an integration the URL is empty."""

    url: str
    integration: Integration | None
    options: Mapping[str, Any]


def checked_route(given: Mapping[str, Any], stored: Route | None, owner_id: uuid.UUID | None) -> dict[str, Any]:
    """Return what of `url`, `integration` and `destination` is to be stored, given what a caller sent of them.

    `stored` is what the webhook has, None for a new one, `owner_id` the webhook's owner. Values of `url` are checked already.
    Raises InvalidInput for each wrong field. A field that is neither sent nor follows from another is left out.
    """
    if stored is not None and not given.keys() & {"url", "integration", "destination"}:
        return {}
    before = stored or Route("", None, {})
    integration = given.get("integration", before.integration)
    if integration is None:
        return _own_url(given, before, is_new=stored is None)
    changed = before.integration is None or before.integration.id != integration.id
    if given.get("url"):
        raise InvalidInput.of("url", f"is given by the integration {integration.name}: leave it out, or set integration to null.")
    connector = _destination_of(integration)
    if changed:
        _check_usable(integration, owner_id)
    values: dict[str, Any] = {"url": "", "integration": integration}
    if changed or "destination" in given:
        options = validate_options(connector, given.get("destination") or {}, config=integration.config)
        _check_target(connector, options, integration, owner_id)
        values["destination"] = options
    return values


def pick_integration(
    integration_id: uuid.UUID | None, who: Principal, stored_id: uuid.UUID | None, *, options_change: bool
) -> Integration | None:
    """Return the integration that a caller names; raises InvalidInput for one that they can't see.

    The one that the webhook has already may be sent back by anybody who may change the webhook; but only who sees it may
    change what is done with its credentials (`options_change`): else NotAllowed is raised.
    """
    if integration_id is None:
        return None
    rows = Integration.objects.defer("credentials", "previous_credentials")
    found = visible(rows, who).filter(id=integration_id).first()
    if found is not None:
        return found
    if integration_id != stored_id:
        raise InvalidInput.of(
            "integration", f"{integration_id} is not an integration that you can see; GET /api/v1/integrations lists them."
        )
    if options_change:
        sentence = "belong to an integration of the admins: only they may change what is done with its credentials."
        raise NotAllowed(f"destination: {sentence}", fields={"destination": [sentence]})
    return rows.filter(id=integration_id).first()


def offered(who: Principal) -> list[Integration]:
    """Return the active integrations that take events and that the caller sees, by name, without their credentials."""
    types = [connector.key for connector in with_capability(Destination)]
    rows = Integration.objects.filter(type__in=types, status=Status.ACTIVE).defer("credentials", "previous_credentials")
    return list(visible(rows, who).select_related("owner__user", "owner__team").order_by("name", "id"))


def _own_url(given: Mapping[str, Any], before: Route, *, is_new: bool) -> dict[str, Any]:
    if given.get("destination"):
        raise InvalidInput.of("destination", "are options of an integration's destination: name an integration, or leave it out.")
    if not given.get("url", before.url):
        raise InvalidInput.of("url", "must be given: where events are sent. Or name an integration that takes them.")
    values: dict[str, Any] = {"url": given["url"]} if "url" in given else {}
    if not is_new and (before.integration is not None or before.options):
        values |= {"integration": None, "destination": {}}
    return values


def _destination_of(integration: Integration) -> type[Destination]:
    try:
        connector = find(integration.type)
    except InvalidInput as error:
        raise InvalidInput.of("integration", f"{integration.name} can't be used: {error.message}") from None
    if not issubclass(connector, Destination):
        raise InvalidInput.of("integration", f"{integration.name} ({connector.title}) takes no events; choose one that does.")
    return connector


def _check_target(connector: type[Destination], options: Mapping[str, Any], integration: Integration, owner_id: uuid.UUID | None) -> None:
    """Refuse to lend the admins' credentials for whatever repository a team's events name."""
    name = connector.chosen_by_events(options)
    if name and integration.owner_id is None and owner_id is not None:
        sentence = f"must be given in full: {integration.name} belongs to the admins, so a team's events can't choose what is told with it."
        raise InvalidInput.of(f"destination.{name}", sentence)


def _check_usable(integration: Integration, owner_id: uuid.UUID | None) -> None:
    if integration.status != Status.ACTIVE:
        raise InvalidInput.of("integration", f"{integration.name} is inactive; activate it first.", code="integration_inactive")
    if integration.owner_id not in (None, owner_id):
        sentence = f"{integration.name} belongs to another owner; choose {integration.owner} as Owner to use it with its credentials."
        raise InvalidInput.of("integration", sentence)
