"""Which payload template a webhook may have. The rules, for API, admin and commands."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from access.principals import Principal
from access.selectors import visible
from core.errors import InvalidInput
from integrations.models import Integration
from integrations.registry import find
from templates_app.models import PayloadTemplate
from templates_app.payloads.checking import takes_templates
from webhooks.destinations.binding import integration_calls
from webhooks.models import Webhook


def pick_template(template_id: uuid.UUID | None, who: Principal, stored_id: uuid.UUID | None) -> PayloadTemplate | None:
    """Return the template that a caller names; raises InvalidInput for one that they can't see.

    The one that the webhook has already may be sent back by anybody who may change the webhook.
    """
    if template_id is None:
        return None
    rows = PayloadTemplate.objects.all()
    found = (rows if template_id == stored_id else visible(rows, who)).filter(id=template_id).first()
    if found is None:
        raise InvalidInput.of(
            "payload_template", f"{template_id} is not a template that you can see; GET /api/v1/payload-templates lists them."
        )
    return found


def template_errors(given: Mapping[str, Any], stored: Webhook | None, owner_id: uuid.UUID | None) -> dict[str, list[str]]:
    """Return what keeps a webhook from having its template, given what changes of it; nothing where it has none."""
    if not given.keys() & {"payload_template", "integration"}:
        return {}
    before = stored.payload_template if stored else None
    template: PayloadTemplate | None = given.get("payload_template", before)
    integration: Integration | None = given.get("integration", stored.integration if stored else None)
    if template is None:
        return {}
    sentence = _unsuitable(template, integration)
    if not sentence and template != before and template.owner_id not in (None, owner_id):
        sentence = f"{template.name} belongs to another owner; choose {template.owner} as Owner to use it."
    return {"payload_template": [sentence]} if sentence else {}


def _unsuitable(template: PayloadTemplate, integration: Integration | None) -> str:
    if integration is None:
        return (
            "" if not template.platform else f"{template.name} is for {template.platform}: name an integration of it, or another template."
        )
    title = find(integration.type).title
    if not takes_templates(integration.type) or integration_calls(integration):
        return f"{integration.name} ({title}) takes no payload templates as it is set up: choose none (null)."
    if template.platform != integration.type:
        meant = template.platform or "webhooks to a URL"
        return f"{template.name} is for {meant}, and {integration.name} is {integration.type}: choose a template for {integration.type}."
    return ""
