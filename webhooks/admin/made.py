"""What a template makes, or would make, in words."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin

from access.admin_base import show
from core import redact
from integrations import registry
from integrations.contract.outbound import Destination
from integrations.models import Endpoint, Integration
from webhooks.destinations.binding import is_signed
from webhooks.models import Webhook
from webhooks.services.previews import example_type
from webhooks.services.templates import Made


def shown(made: Made) -> dict[str, Any]:
    """Return what the preview says of what would be made."""
    row = made.integration
    fields = {declared.name: declared for declared in registry.find(row.type).fields}
    titles = {name: declared.title for name, declared in fields.items()}
    return {
        "integration": row,
        "owner": str(row.owner) if row.owner_id else "the admins",
        "config": [
            (titles.get(name, name), in_words(value, dict(fields[name].choices) if name in fields else {}))
            for name, value in row.config.items()
        ],
        "credentials": [titles.get(name, name) for name in made.credentials_set],
        "endpoints": made.endpoints,
        "webhooks": [
            {
                "row": webhook,
                "to": redact.url(webhook.url) if webhook.url else f"through {row.name}, {_options(row, webhook)}",
                "headers": made.headers_set.get(webhook.id, ()),
                "message": made.messages.get(webhook.id),
                "kind": example_type(list(webhook.events)),
            }
            for webhook in made.webhooks
        ],
    }


def in_words(value: Any, choices: dict[str, str]) -> str:
    """Return a value as the form says it: a choice by its label, a list with commas."""
    if isinstance(value, list) and all(isinstance(part, str | int | float) for part in value):
        return ", ".join(str(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} = {part}" for name, part in value.items())
    return choices.get(value, value) if isinstance(value, str) else json.dumps(value)


def _options(row: Integration, webhook: Webhook) -> str:
    """Return the options as the form says them, without those that are off."""
    connector = registry.find(row.type)
    fields = {declared.name: declared for declared in connector.destination_fields} if issubclass(connector, Destination) else {}
    said = [
        f"{fields[name].title if name in fields else name}: {in_words(value, dict(fields[name].choices) if name in fields else {})}"
        for name, value in webhook.destination.items()
        if value is not False
    ]
    return ", ".join(said) or "with its usual options"


def made_context(made: Made) -> dict[str, Any]:
    """Return what the page says of what was made, with the secrets that are shown this once."""
    url = show.admin_url(Integration, "change", made.integration.pk) if admin.site.is_registered(Integration) else ""
    return {
        "integration": made.integration,
        "integration_url": url,
        "endpoints": [
            (row.name, show.admin_url(Endpoint, "change", row.pk) if admin.site.is_registered(Endpoint) else "") for row in made.endpoints
        ],
        "webhooks": [
            (row, made.secrets[row.id] if is_signed(row.integration) else "", show.admin_url(Webhook, "change", row.pk))
            for row in made.webhooks
        ],
    }
