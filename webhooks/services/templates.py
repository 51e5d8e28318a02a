"""Making an integration with its endpoints and webhooks from a template: all of it, or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

from django.db import transaction

from core.errors import Conflict, InvalidInput, RepoGuardError
from integrations.checking import CheckReport
from integrations.gateway.endpoints import EndpointValues, create_endpoint
from integrations.models import Endpoint, Integration
from integrations.services.integrations import IntegrationValues, create_integration, test_integration
from templates_app.asked import properties
from templates_app.blueprint import Filled, filled
from templates_app.models import IntegrationTemplate
from templates_app.placeholders import leaves, whole
from webhooks.models import Webhook
from webhooks.services.manage import create_webhook
from webhooks.services.previews import MessagePreview, preview_message
from webhooks.services.values import WebhookValues

CONNECTED = "a webhook goes through the integration, which has errors."
T = TypeVar("T")
Errors = dict[str, list[str]]


@dataclass(frozen=True)
class Made:
    """What was made, or would be: in a dry run none of it is stored. `secrets` hold each webhook's signing secret, to be shown once."""

    integration: Integration
    endpoints: list[Endpoint]
    webhooks: list[Webhook]
    secrets: Mapping[uuid.UUID, str] = field(repr=False)
    messages: Mapping[uuid.UUID, MessagePreview] = field(default_factory=dict, repr=False)
    """In a dry run, what each webhook would send of an event that it takes."""
    credentials_set: tuple[str, ...] = ()
    headers_set: Mapping[uuid.UUID, tuple[str, ...]] = field(default_factory=dict)


def instantiate(template: IntegrationTemplate, name: str, values: object, owner_id: uuid.UUID | None, *, dry_run: bool = False) -> Made:
    """Make what a template describes, in one transaction; with `dry_run` make it, look at it, and take it back.

    Raises one InvalidInput that names every wrong value as `values.<name>`, else as `integration.…`, `endpoints.…` or `webhooks.…`.
    """
    blueprint = filled(template, values)
    with transaction.atomic():
        made = _make(template, blueprint, name, owner_id)
        if dry_run:
            messages = {webhook.id: preview_message(webhook) for webhook in made.webhooks}
            made = replace(made, messages=messages)
            transaction.set_rollback(True)
    return made


def try_out(template: IntegrationTemplate, name: str, values: object, owner_id: uuid.UUID | None) -> CheckReport | None:
    """Test the connection that a template would make, without storing anything; None where its connector has no test.

    Calls out: no transaction may be open. Raises as instantiate() does.
    """
    instantiate(template, name, values, owner_id, dry_run=True)
    try:
        return test_integration(None, _integration_values(template, filled(template, values), name, owner_id))
    except Conflict as error:
        if error.code == "not_checkable":
            return None
        raise


def require_good(report: CheckReport | None) -> None:
    """Raise Conflict (code test_failed) for a failed connection test."""
    if report is not None and not report.ok:
        raise Conflict(f"The connection test failed, so nothing was made: {report.message}", code="test_failed")


def _make(template: IntegrationTemplate, blueprint: Filled, name: str, owner_id: uuid.UUID | None) -> Made:
    errors: Errors = {}
    given = _integration_values(template, blueprint, name, owner_id)
    integration = _attempt(errors, "integration", lambda: create_integration(given))
    endpoints, webhooks = [], []
    for index, row in enumerate(blueprint.endpoints if integration else []):
        values = cast("EndpointValues", row)
        endpoint = _attempt(errors, f"endpoints.{index}", lambda values=values: create_endpoint(cast("Integration", integration), values))  # type: ignore[misc]
        endpoints += [endpoint] if endpoint else []
    for index, row in enumerate(blueprint.webhooks):
        if integration is None and not row.get("url"):
            errors.setdefault(f"webhooks.{index}", []).append(CONNECTED)
            continue
        wanted = _webhook_values(row, integration, owner_id)
        webhook = _attempt(errors, f"webhooks.{index}", lambda wanted=wanted: create_webhook(wanted))  # type: ignore[misc]
        webhooks += [webhook] if webhook else []
    if errors or integration is None:
        found = _named_by_values(template, errors)
        raise InvalidInput(" ".join(f"{place}: {sentences[0]}" for place, sentences in list(found.items())[:5]), fields=found)
    return Made(
        integration=integration,
        endpoints=endpoints,
        webhooks=[webhook for webhook, _ in webhooks],
        secrets={webhook.id: secret for webhook, secret in webhooks},
        credentials_set=tuple(sorted(dict(given.get("credentials", {})))),
        headers_set={
            webhook.id: tuple(sorted(row.get("headers") or {})) for (webhook, _), row in zip(webhooks, blueprint.webhooks, strict=True)
        },
    )


def _integration_values(template: IntegrationTemplate, blueprint: Filled, name: str, owner_id: uuid.UUID | None) -> IntegrationValues:
    origin = {"template": template.name, "template_version": template.version}
    metadata = {**blueprint.integration.get("metadata", {}), **origin}
    return cast(
        "IntegrationValues",
        {**blueprint.integration, "metadata": metadata, "name": name, "type": template.type, "owner_id": owner_id},
    )


def _webhook_values(row: Mapping[str, Any], integration: Integration | None, owner_id: uuid.UUID | None) -> WebhookValues:
    route = {} if row.get("url") else {"integration": integration, "destination": row.get("destination") or {}}
    return cast("WebhookValues", {**row, **route, "owner_id": owner_id})


def _attempt(errors: Errors, place: str, make: Callable[[], T]) -> T | None:
    """Return what was made, or None with what is wrong noted: all errors are told at once."""
    try:
        with transaction.atomic():
            return make()
    except RepoGuardError as error:
        for name, sentences in (error.fields or {"": [error.message]}).items():
            errors.setdefault(f"{place}.{name}".rstrip("."), []).extend(sentences)
        return None


def _named_by_values(template: IntegrationTemplate, errors: Errors) -> Errors:
    """Name a wrong field by the value that it was given as, where it is one: that is what the caller can mend."""
    roots = (("integration", template.config.get("integration", {})), ("endpoints", template.endpoints), ("webhooks", template.webhooks))
    asked = properties(template.config)
    places = {path: name for root, part in roots for path, text in leaves(part, root) if (name := whole(text)) in asked}
    found: Errors = {}
    for path, sentences in errors.items():
        value = places.get(path)
        found.setdefault(f"values.{value}" if value else "name" if path == "integration.name" else path, []).extend(sentences)
    return found
