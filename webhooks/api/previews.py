"""POST webhooks/{id}/preview: what a webhook would send."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from access.selectors import visible
from core.api.serializers import StrictSerializer
from core.api.viewsets import PortalViewSet
from core.errors import InvalidInput
from core.models import Event
from templates_app.api.payload_serializers import RefusedOutputSerializer
from webhooks.models import Webhook
from webhooks.services.previews import MessagePreview, preview_message

_REQUEST = {
    "method": "POST",
    "url": "https://hooks.slack.com/********",
    "headers": {"Content-Type": "application/json"},
    "body": '{"text": "Gate failed: acme/shop"}',
    "size": 34,
}


@extend_schema_serializer(examples=[OpenApiExample("Of a gate that failed", value={"event_type": "gate.failed"}, request_only=True)])
class PreviewMessageSerializer(StrictSerializer):
    """Which event to show it of; without either, an example of a type that the webhook takes."""

    event_id = serializers.UUIDField(required=False, help_text="A recorded event that you can see.")
    event_type = serializers.CharField(required=False, max_length=100, help_text="The example of this type.")


class ShownRequestSerializer(serializers.Serializer[Any]):
    """A request without its credentials."""

    method = serializers.CharField()
    url = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    body = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes of the body.")


@extend_schema_serializer(
    examples=[OpenApiExample("A message", value={"requests": [_REQUEST], "note": "", "refused_output": None}, response_only=True)]
)
class MessagePreviewSerializer(serializers.Serializer[Any]):
    """What would be sent, in order."""

    requests = ShownRequestSerializer(many=True)
    note = serializers.CharField(help_text="Why nothing would be sent, or why not more is known; else empty.")
    refused_output = RefusedOutputSerializer(source="refused", allow_null=True, help_text="Where the payload template makes no JSON.")


class PreviewAction(PortalViewSet[Webhook]):
    """POST webhooks/{id}/preview, for the viewset of webhooks."""

    @extend_schema(request=PreviewMessageSerializer, responses={200: MessagePreviewSerializer})
    @action(detail=True, methods=["post"])
    def preview(self, request: Request, id: str) -> Response:
        """Show the exact requests that an event would lead to, without sending anything: credentials are masked."""
        webhook = self.get_object()
        values = self.checked_data(PreviewMessageSerializer)
        if len(values) > 1:
            raise InvalidInput.of("event_type", "can't go with event_id: name one of them.")
        event = None
        if "event_id" in values:
            event = visible(Event.objects.all(), principal(request)).filter(id=values["event_id"]).first()
            if event is None:
                raise InvalidInput.of("event_id", "is not an event that you can see; GET /api/v1/events lists them.")
        return self.answer(preview_message(webhook, event, values.get("event_type", "")), serializer_class=MessagePreviewSerializer)


def as_json(preview: MessagePreview) -> dict[str, Any]:
    """Return what would be sent as answers show it."""
    return dict(MessagePreviewSerializer(preview).data)
