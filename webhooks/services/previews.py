"""The exact requests that a webhook would send of an event, without sending them."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from core import redact
from core.errors import Conflict, InvalidInput
from core.event_types import catalogue
from core.fields import DecryptError
from core.http.custom_headers import MASK
from core.ids import uuid7
from core.models import Event
from core.texts import storable
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.digests import DIGEST_TYPE
from integrations.messages.reading import repository_of
from integrations.rehearsal import MAX_SHOWN, Rehearsal, Shown, rehearse
from templates_app.payloads.checking import platform_problems
from templates_app.payloads.content import render_event, with_type
from templates_app.payloads.places import trying_out
from templates_app.payloads.selectors import active_versions, refused_output
from templates_app.rendering.refused import RefusedOutput
from webhooks.destinations.event import about, outgoing
from webhooks.engine.request import USER_AGENT
from webhooks.envelope import envelope_bytes
from webhooks.models import Webhook
from webhooks.routing.rules import DigestMode, routing_of
from webhooks.selectors import shown_headers, shown_webhooks

# what tells most about a destination, where a webhook takes several types
_TELLING = ("gate.failed", "finding.opened", "finding.opened.single", "scan.completed", "build.failed", "integration.unhealthy")


@dataclass(frozen=True)
class MessagePreview(Rehearsal):
    """What a webhook would send."""

    refused: RefusedOutput | None = None
    """Where nothing would be, for what its payload template makes is no JSON: that."""


def preview_message(webhook: Webhook, event: Event | None = None, event_type: str = "") -> MessagePreview:
    """Return what a webhook would send of a recorded event, or of the example of a type.

    Without either it is the example of a type that it takes, or of a digest where it collects them.
    Raises InvalidInput for a type that there is not, and Conflict where its credentials can't be decrypted.
    """
    id, kind, at, data = _told(webhook, event, event_type)
    body = envelope_bytes(id, kind, at, data)
    told = outgoing(id, kind, at.timestamp(), 1, body, about=about(id) if event is not None else _example_about(data))
    through = webhook.integration
    if through is None:
        return _with_template(webhook, told, Rehearsal((_plain(webhook, id, kind, at, body),)))
    try:
        return _with_template(webhook, told, rehearse(through, webhook.destination, told))
    except DecryptError as error:
        raise Conflict(f"The credentials of {through.name} can't be read: {error}", code="unreadable_secret") from error


def _example_about(data: str) -> str:
    """Take the repository of an example for one that is registered here, so that its message can be shown."""
    said = json.loads(data)
    return f"{said.get('provider') or 'github'}:{repository_of(said)}"


def _with_template(webhook: Webhook, event: OutgoingEvent, shown: Rehearsal) -> MessagePreview:
    """Return it as the webhook's payload template, if it has one, changes it."""
    template_id = webhook.payload_template_id
    template = active_versions([template_id]).get(template_id) if template_id else None
    if template is None or not shown.requests:
        return MessagePreview(shown.requests, shown.note)
    request, *others = shown.requests
    try:
        with trying_out():
            rendered = render_event(template.content(), event)
        url = rendered.address(request.url)
        if problems := platform_problems(template.platform, rendered):
            raise InvalidInput(problems[0])
    except InvalidInput as error:
        note = f"Nothing would be sent, because of the payload template {template.name}: {error.message}"
        return MessagePreview((), note, refused_output(error, event.type))
    text = rendered.body.decode("utf-8", "replace")
    headers = {**rendered.headers, **with_type(request.headers, rendered.content_type)}
    body = storable(text[:MAX_SHOWN] + ("…" if len(text) > MAX_SHOWN else ""))
    made = replace(request, url=url, headers=headers, body=body, size=len(rendered.body))
    return MessagePreview((made, *others), shown.note)


def example_type(patterns: list[str]) -> str:
    """Return the event type that shows best what a webhook with these subscriptions sends."""
    for name in (*_TELLING, *(found.example_name for found in catalogue.all())):
        if any(_matches(pattern, name) for pattern in patterns):
            return name
    return "webhook.test"


def _told(webhook: Webhook, event: Event | None, event_type: str) -> tuple[uuid.UUID, str, datetime, str]:
    if event is not None:
        return event.id, event.type, event.created_at, json.dumps(event.payload)
    kind = event_type or (DIGEST_TYPE if _collects(webhook) else example_type(list(webhook.events)))
    found = catalogue.find(kind)
    if found is None:
        raise InvalidInput.of("event_type", f"{kind[:100]!r} is not a known event type; GET /api/v1/event-types lists them.")
    return uuid7(), found.example_name if kind == found.name else kind, timezone.now(), json.dumps(found.example)


def _collects(webhook: Webhook) -> bool:
    routing = routing_of(webhook.routing)
    return routing is not None and routing.digest is not None and routing.digest.mode == DigestMode.ALL


def _plain(webhook: Webhook, id: uuid.UUID, kind: str, at: datetime, body: bytes) -> Shown:
    headers: dict[str, Any] = dict.fromkeys(shown_headers(shown_webhooks().get(pk=webhook.pk)) or {}, MASK)
    headers |= {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "webhook-id": str(id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": "v1,(made with its secret when it is sent)",
        "X-RepoGuard-Event": kind,
    }
    return Shown("POST", redact.url(webhook.url), headers, body.decode(), len(body))


def _matches(pattern: str, name: str) -> bool:
    found = catalogue.find(name)
    wild = found is not None and found.has_wildcards
    return pattern == name or (wild and (pattern == "*" or (pattern.endswith(".*") and name.startswith(pattern[:-1]))))
