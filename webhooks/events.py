"""Event types of the webhooks room: what arrives from other systems, and operational ones about the portal's own deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import redact
from core.event_types import EventType, Family
from core.fields import JSONValue

if TYPE_CHECKING:  # declared before the models are loaded
    from webhooks.models import Webhook

TEST_TYPE = "webhook.test"
_TEXT: dict[str, Any] = {"type": "string"}
_UUID: dict[str, Any] = {"type": "string", "format": "uuid"}
_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_WEBHOOK_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"webhook_id": _UUID, "name": _TEXT, "url": _TEXT, "reason": _TEXT},
    "required": ["webhook_id"],
}
_WEBHOOK = {"webhook_id": _ID, "name": "Deploy bot", "url": "https://ci.example.com/hooks/repoguard"}
_DELIVERY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "webhook_id": _UUID,
        "delivery_id": _UUID,
        "event_id": _UUID,
        "event_type": _TEXT,
        "attempts": {"type": "integer", "minimum": 0},
        "status_code": {"type": ["integer", "null"]},
        "error_class": _TEXT,
        "error": _TEXT,
    },
    "required": ["webhook_id", "delivery_id"],
}
_DELIVERY = {
    "webhook_id": _ID,
    "delivery_id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b7",
    "event_id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b8",
    "event_type": "finding.opened",
    "attempts": 1,
    "status_code": 404,
    "error_class": "client_error",
    "error": "The endpoint answered 404 Not Found. Check the path of the URL.",
}


def about_webhook(webhook: Webhook, **more: JSONValue) -> dict[str, JSONValue]:
    """Return the data of an operational event about `webhook`."""
    return {"webhook_id": str(webhook.id), "name": webhook.name, "url": redact.url(webhook.url), **more}


_webhook = Family("webhook", _WEBHOOK_SCHEMA, _WEBHOOK, operational=True)


_delivery = Family("delivery", _DELIVERY_SCHEMA, _DELIVERY, operational=True)


_INBOUND_TYPES = [
    EventType(
        name="inbound.*",
        title="Inbound event",
        description="An authentic request of another system that has no type of its own here; the name tells provider and event.",
        schema={"type": "object", "properties": {"provider": _TEXT, "source_id": _TEXT, "event": _TEXT, "payload": {}}},
        example={"provider": "github", "source_id": _ID, "event": "issues", "payload": {"action": "opened"}},
    ),
    EventType(
        name="inbound.alert_changed",
        title="Alert changed at its source",
        description="A provider reports that one of its security alerts was created, changed or closed.",
        schema={"type": "object", "properties": {"provider": _TEXT, "repository": _TEXT, "action": _TEXT, "alert": {"type": "object"}}},
        example={"provider": "github", "repository": "acme/shop", "action": "created", "alert": {"number": 7, "severity": "high"}},
    ),
]
_SOURCE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "source_id": _UUID,
        "name": _TEXT,
        "provider": _TEXT,
        "last_received_at": {"type": ["string", "null"]},
        "silent_seconds": {"type": "integer"},
        "count": {"type": "integer"},
        "minutes": {"type": "integer"},
        "reason": _TEXT,
    },
    "required": ["source_id"],
}
_SOURCE = {"source_id": _ID, "name": "GitHub of acme", "provider": "github"}
_inbound = Family("inbound", _SOURCE_SCHEMA, _SOURCE, operational=True)
_OPERATIONAL_TYPES = [
    _inbound(
        "source_silent",
        "Inbound source silent",
        "A source receives nothing where it should: by its threshold, or compared with the same hours of past weeks.",
        last_received_at="2026-11-20T09:30:00+00:00",
    ),
    _inbound(
        "source_recovered", "Inbound source speaks again", "A source that was announced as silent receives again.", silent_seconds=5400
    ),
    _inbound(
        "signature_failures",
        "Signature failures",
        "Many requests to a source were not authentic within minutes: a secret was changed on one side only, or somebody tries.",
        count=12,
        minutes=10,
        reason="The signature does not fit.",
    ),
    _webhook("created", "Webhook created", "Somebody created a webhook."),
    _webhook("updated", "Webhook updated", "Somebody changed a webhook; `changed` names the fields.", changed=["url"]),
    _webhook("deleted", "Webhook deleted", "Somebody deleted a webhook."),
    _webhook("enabled", "Webhook enabled", "A webhook was switched on; its parked deliveries leave now."),
    _webhook("disabled", "Webhook disabled", "A webhook was switched off, by a user, by 410 Gone or after long failure.", reason="gone"),
    _webhook("failing", "Webhook failing", "A webhook keeps failing; it is held and probed.", reason="10 failures in a row"),
    _webhook("recovered", "Webhook recovered", "A failing webhook delivers again.", failed_seconds=840),
    _webhook("secret_rotated", "Secret rotated", "A webhook has a new secret.", overlap_hours=24),
    EventType(
        name=TEST_TYPE,
        title="Test",
        description="Sent by the test button and by POST webhooks/{id}/test, to that webhook only.",
        schema={"type": "object"},
        example={"message": "This is a test of RepoGuard.", "webhook_id": _ID},
        operational=True,
    ),
    _delivery("failed", "Delivery failed", "An endpoint answered so that trying again makes no sense."),
    _delivery(
        "exhausted",
        "Delivery exhausted",
        "The last attempt of the schedule failed.",
        attempts=10,
        status_code=503,
        error_class="server_error",
        error="The endpoint answered 503 Service Unavailable. Look into its own log.",
    ),
]

_DIGEST = EventType(
    name="notification.digest",
    title="Digest",
    description="Events that a webhook collects and receives together; see docs/routing.md. Its `routing` says so.",
    schema={
        "type": "object",
        "properties": {
            "count": {"type": "integer", "minimum": 1},
            "key": {"type": "string", "description": "What the events have in common."},
            "since": {"type": "string", "format": "date-time", "description": "When the first of them was published."},
            "until": {"type": "string", "format": "date-time", "description": "When the last of them was."},
            "left_out": {"type": "integer", "description": "How many of them are here without their data, for the size of all."},
            "events": {
                "type": "array",
                "description": "In the order in which they were published.",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": _UUID,
                        "type": _TEXT,
                        "timestamp": _TEXT,
                        "data": {"type": ["object", "null"], "description": "Null where it was left out; GET /api/v1/events/{id} has it."},
                    },
                    "required": ["id", "type", "timestamp", "data"],
                },
            },
        },
        "required": ["count", "events", "key", "since", "until", "left_out"],
    },
    example={
        "count": 2,
        "key": "repository=acme/shop, branch=main",
        "since": "2026-11-20T09:30:00.120Z",
        "until": "2026-11-20T09:33:41.007Z",
        "left_out": 0,
        "events": [
            {
                "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5c1",
                "type": "build.failed",
                "timestamp": "2026-11-20T09:30:00.120Z",
                "data": {"build_id": "9183741982", "project": "acme/shop", "workflow": "test", "branch": "main", "status": "failure"},
            },
            {
                "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5c2",
                "type": "finding.opened",
                "timestamp": "2026-11-20T09:33:41.007Z",
                "data": {
                    "finding_id": _ID, "repository": "acme/shop", "provider": "github", "ref": "main",
                    "title": "Prototype pollution in lodash", "severity": "high", "count": 1, "by_severity": {"high": 1},
                },
            },
        ],
    },
    recorded=True,
)  # fmt: skip
EVENT_TYPES = [*_INBOUND_TYPES, *_OPERATIONAL_TYPES, _DIGEST]
