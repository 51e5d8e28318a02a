"""Webhooks as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import SecretField, StrictModelSerializer, StrictSerializer
from core.event_types import MAX_NAME
from core.http.custom_headers import MASK
from webhooks.api.fields import HeadersField, PriorityField, RepositoriesField, RoutingField, WebhookUrlField
from webhooks.choices import BreakerState, HoldReason
from webhooks.models import Webhook

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_SECRET = "whsec_" + "bm90IGEgcmVhbCBzZWNyZXQsIGp1c3QgYW4gZXhhbXBsZQ=="
_WRITE: dict[str, Any] = {
    "name": "Deploy bot",
    "url": "https://ci.example.com/hooks/repoguard",
    "integration": None,
    "destination": {},
    "payload_template": None,
    "events": ["gate.passed", "finding.*"],
    "filter": {"severity": {"$in": ["high", "critical"]}},
    "routing": {"branches": ["main", "release/*"], "min_severity": "high", "digest": {"window_seconds": 300, "key": ["repository"]}},
    "headers": {"Authorization": "Bearer 5f2b9c"},
    "retry_config": {"schedule": [5, 300, 3600]},
    "rate_limit": 20,
    "concurrency": 10,
    "priority": "normal",
    "repositories": [],
}
_THROUGH: dict[str, Any] = {
    "name": "Tickets",
    "events": ["finding.opened"],
    "integration": "0192f0c1-2b3c-7d4e-8f50-61728394a5c1",
    "destination": {"path": "/events"},
}
_READ: dict[str, Any] = {
    "id": _ID,
    **_WRITE,
    "headers": {"Authorization": MASK},
    "status": "active",
    "inactive_reason": "",
    "status_changed_at": "2026-11-20T09:30:00Z",
    "owner": "team:payments",
    "digest_waiting": 12,
    "digest_due_at": "2026-11-20T09:34:10Z",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A webhook", value=_READ, response_only=True),
        OpenApiExample("The least", value={key: _WRITE[key] for key in ("name", "url", "events")}, request_only=True),
        OpenApiExample("Everything", value=_WRITE, request_only=True),
        OpenApiExample("Through an integration", value=_THROUGH, request_only=True),
    ]
)
class WebhookSerializer(StrictModelSerializer[Webhook]):
    """A webhook without its secret, which only creating and rotating show."""

    owner = OwnerField()
    name = serializers.CharField(max_length=100)
    url = WebhookUrlField(
        max_length=2000,
        required=False,
        allow_blank=True,
        help_text="https, or http for hosts inside EGRESS_ALLOW_CIDRS. Required without `integration`, refused with one.",
    )
    integration = serializers.UUIDField(
        source="integration_id",
        required=False,
        allow_null=True,
        help_text="Events go to this integration's destination, with its credentials. It must be active and the webhook's owner's.",
    )
    destination = serializers.DictField(
        required=False, help_text="Options of that destination, as GET /api/v1/connectors describes them; they must hold no secrets."
    )
    payload_template = serializers.UUIDField(
        source="payload_template_id", required=False, allow_null=True, help_text="Its active version is sent in place of the event."
    )
    events = serializers.ListField(child=serializers.CharField(max_length=MAX_NAME), max_length=100, help_text="Names and wildcards.")
    filter = serializers.JSONField(required=False, allow_null=True, help_text="Conditions on the data; see docs/webhooks.md.")
    routing = RoutingField(required=False, allow_null=True, help_text="Branches, severity, digests, superseding; see docs/routing.md.")
    digest_waiting = serializers.IntegerField(read_only=True, help_text="Events that are collected for its next digests.")
    digest_due_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="When the first of them leave, or are looked at.")
    headers = HeadersField(
        required=False,
        allow_null=True,
        help_text="Added to each request; values are shown masked. Null where FERNET_KEYS can't decrypt them; sent back, it keeps them.",
    )
    retry_config = serializers.JSONField(required=False, allow_null=True, help_text="`schedule` (seconds) and `max_attempts`.")
    rate_limit = serializers.FloatField(required=False, allow_null=True, help_text="Deliveries a second; null is no limit.")
    concurrency = serializers.IntegerField(required=False, min_value=1, max_value=500, help_text="Requests open at once.")
    priority = PriorityField(required=False, help_text="Which of its waiting deliveries leave first is decided when they are made.")
    repositories = RepositoriesField(required=False, max_length=500, help_text="Only events about these; empty is all.")
    secret = SecretField(max_length=100, help_text="`whsec_` and base64 of 24 to 64 bytes; generated where it is left out.")

    class Meta:
        model = Webhook
        fields = (*_READ, "secret")
        read_only_fields = ("id", "inactive_reason", "status_changed_at", "digest_waiting", "digest_due_at", "created_at", "updated_at")


@extend_schema_serializer(examples=[OpenApiExample("With its secret, this once", value=_READ | {"secret": _SECRET}, response_only=True)])
class CreatedWebhookSerializer(WebhookSerializer):
    """A webhook with its new secret: the only answers that show it."""

    secret = serializers.CharField(read_only=True, help_text="Keep it: it is not shown again.")  # type: ignore[assignment]


@extend_schema_serializer(
    examples=[
        OpenApiExample("Generate one, the old one signs for two more hours", value={"overlap_hours": 2}, request_only=True),
        OpenApiExample("The overlap of the settings", value={}, request_only=True),
    ]
)
class RotateSecretSerializer(StrictSerializer):
    """A rotation."""

    overlap_hours = serializers.FloatField(required=False, min_value=0, max_value=720, help_text="How long the old one signs as well.")
    secret = SecretField(max_length=100, help_text="The new secret; generated where it is left out.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("A webhook.test event", value={}, request_only=True),
        OpenApiExample("The example of a type", value={"event_type": "finding.opened"}, request_only=True),
    ]
)
class SendTestSerializer(StrictSerializer):
    """What to send."""

    event_type = serializers.CharField(required=False, max_length=MAX_NAME, help_text="Its example is sent; default webhook.test.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A webhook whose endpoint is down",
            value={
                "pending": 3,
                "parked": 120,
                "in_flight": 1,
                "success": 51_204,
                "failed": 12,
                "cancelled": 0,
                "oldest_pending_at": None,
                "oldest_parked_at": "2026-11-20T09:30:00Z",
                "enabled": True,
                "hold_until": "2026-11-20T09:41:20Z",
                "hold_reason": "breaker",
                "breaker": "open",
                "consecutive_failures": 44,
                "failing_since": "2026-11-20T09:30:05Z",
                "last_success_at": "2026-11-20T09:29:58Z",
                "last_failure_at": "2026-11-20T09:40:00Z",
                "last_error": "Connection refused: nothing listens there. Start the endpoint, or correct the port.",
            },
            response_only=True,
        )
    ]
)
class WebhookStatsSerializer(serializers.Serializer[Any]):
    """Numbers since the webhook was made; pending is without the parked."""

    pending = serializers.IntegerField(help_text="Waiting for their time or under way, without the parked.")
    parked = serializers.IntegerField(help_text="Due, but the webhook is inactive or held.")
    in_flight = serializers.IntegerField(help_text="Requests open now; part of pending.")
    success = serializers.IntegerField()
    failed = serializers.IntegerField()
    cancelled = serializers.IntegerField()
    oldest_pending_at = serializers.DateTimeField(allow_null=True, help_text="When the first waiting delivery is or was due.")
    oldest_parked_at = serializers.DateTimeField(allow_null=True)
    enabled = serializers.BooleanField()
    hold_until = serializers.DateTimeField(allow_null=True)
    hold_reason = serializers.ChoiceField(choices=HoldReason.choices)
    breaker = serializers.ChoiceField(choices=BreakerState.choices)
    consecutive_failures = serializers.IntegerField()
    failing_since = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True)
