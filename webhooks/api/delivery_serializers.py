"""Deliveries and their attempts as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from core import runtime
from core.api.serializers import StrictModelSerializer
from webhooks.envelope import envelope
from webhooks.models import DeliveryAttempt, FollowUp, WebhookDelivery

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_EVENT = "0192f0c1-2b3c-7d4e-8f50-61728394a5b8"
_DELIVERY: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b7",
    "webhook": _ID,
    "webhook_name": "Deploy bot",
    "event": _EVENT,
    "event_type": "custom.deployed",
    "status": "pending",
    "parked": False,
    "in_flight": False,
    "trigger": "auto",
    "attempt_count": 1,
    "next_attempt_at": "2026-11-20T09:35:05Z",
    "last_status_code": 503,
    "last_error_class": "server_error",
    "last_error": "The endpoint answered 503 Service Unavailable. Look into its own log.",
    "created_at": "2026-11-20T09:30:00Z",
    "finished_at": None,
}
_ATTEMPT: dict[str, Any] = {
    "id": "0192f0c1-3b3c-7d4e-8f50-61728394a5b9",
    "number": 1,
    "trigger": "auto",
    "outcome": "retry",
    "started_at": "2026-11-20T09:30:00.012Z",
    "url": "https://ci.example.com/hooks/repoguard",
    "address": "203.0.113.7:443",
    "request_headers": {"content-type": "application/json", "webhook-id": _EVENT},
    "status_code": 503,
    "response_headers": {"retry-after": "300"},
    "response_body": "try later",
    "response_truncated": False,
    "error_class": "server_error",
    "error": "The endpoint answered 503 Service Unavailable. Look into its own log.",
    "dns_ms": 1.2,
    "connect_ms": 8.0,
    "tls_ms": 17.5,
    "first_byte_ms": 40.1,
    "total_ms": 67.4,
    "next_attempt_at": "2026-11-20T09:35:05Z",
    "template_version": None,
}
_FOLLOW_UP: dict[str, Any] = {
    "label": "build #812",
    "link": "https://ci.example.com/job/deploy/812/",
    "result": "passed",
    "state": "done",
    "error": "",
    "created_at": "2026-11-20T09:30:01Z",
    "finished_at": "2026-11-20T09:34:40Z",
}
_BODY = {"id": _EVENT, "type": "custom.deployed", "timestamp": "2026-11-20T09:30:00.000Z", "data": {"environment": "production"}}


@extend_schema_serializer(examples=[OpenApiExample("A delivery that is tried again", value=_DELIVERY, response_only=True)])
class DeliverySerializer(StrictModelSerializer[WebhookDelivery]):
    """One event for one webhook."""

    webhook = serializers.UUIDField(source="webhook_id", read_only=True)
    webhook_name = serializers.CharField(read_only=True)
    event = serializers.UUIDField(source="event_id", read_only=True, help_text="Also the `webhook-id` of every attempt.")
    parked = serializers.BooleanField(read_only=True, help_text="Due, but its webhook is inactive or held.")
    in_flight = serializers.BooleanField(read_only=True, help_text="Its request is under way.")
    attempt_count = serializers.IntegerField(source="attempts", read_only=True)

    class Meta:
        model = WebhookDelivery
        fields: tuple[str, ...] = tuple(_DELIVERY)
        read_only_fields = fields


@extend_schema_serializer(examples=[OpenApiExample("A failed attempt", value=_ATTEMPT, response_only=True)])
class AttemptSerializer(StrictModelSerializer[DeliveryAttempt]):
    """One request and how it ended; secrets are masked. Times are in milliseconds, null where a phase was not reached."""

    class Meta:
        model = DeliveryAttempt
        fields = tuple(_ATTEMPT)
        read_only_fields = fields


@extend_schema_serializer(examples=[OpenApiExample("A run that a delivery started", value=_FOLLOW_UP, response_only=True)])
class FollowUpSerializer(StrictModelSerializer[FollowUp]):
    """What a delivery started elsewhere, and how that ended. `error` says why it could not be asked about, if so."""

    error = serializers.CharField(source="shown_error", read_only=True)

    class Meta:
        model = FollowUp
        fields = tuple(_FOLLOW_UP)
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "With its attempts", value=_DELIVERY | {"body": _BODY, "attempts": [_ATTEMPT], "follow_up": _FOLLOW_UP}, response_only=True
        )
    ]
)
class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with its event and its latest attempts, oldest first."""

    body = serializers.SerializerMethodField(
        help_text="Before an integration or a payload template makes another of it; null where the settings say that bodies are not shown."
    )
    attempts = AttemptSerializer(many=True, read_only=True, source="shown_attempts")
    follow_up = FollowUpSerializer(
        read_only=True, allow_null=True, source="shown_follow_up", help_text="Null where the delivery started nothing that can be followed."
    )

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "body", "attempts", "follow_up")
        read_only_fields = fields

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": True})
    def get_body(self, delivery: WebhookDelivery) -> dict[str, Any] | None:
        """Return the JSON of the event."""
        return envelope(delivery.event) if runtime.current().log_request_bodies else None
