"""Events and their types as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.event_types import MAX_NAME
from core.models import Event
from webhooks.services.posting import MAX_EVENTS

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b8"
_REPOSITORY = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_DATA = {"environment": "production", "version": "2.4.1"}
_EVENT: dict[str, Any] = {
    "id": _ID,
    "type": "custom.deployed",
    "timestamp": "2026-11-20T09:30:00Z",
    "repository": _REPOSITORY,
    "owner": "team:payments",
    "actor": "CI (rg_live_h3Kd92Xq…)",
    "request_id": "4b0fbb2c6a4d4f0f9f0f4d8d1f2a7c55",
    "size": 45,
}
_POST = {"type": "custom.deployed", "data": _DATA}
_TYPE = {
    "name": "custom.*",
    "title": "Custom event",
    "description": "Anything a team or a script reports.",
    "schema": {"type": "object"},
    "example": _DATA,
    "strict": False,
    "operational": False,
    "recorded": False,
    "postable": True,
}


@extend_schema_serializer(examples=[OpenApiExample("An event", value=_EVENT, response_only=True)])
class EventSerializer(StrictModelSerializer[Event]):
    """An event without its data."""

    timestamp = serializers.DateTimeField(source="created_at", read_only=True)
    repository = serializers.UUIDField(source="repository_id", read_only=True, allow_null=True)
    owner = OwnerField(read_only=True, required=None)
    size = serializers.IntegerField(read_only=True, help_text="Bytes of the data as JSON.")

    class Meta:
        model = Event
        fields: tuple[str, ...] = tuple(_EVENT)
        read_only_fields = fields


@extend_schema_serializer(examples=[OpenApiExample("With its data", value=_EVENT | {"data": _DATA}, response_only=True)])
class EventDetailSerializer(EventSerializer):
    """An event with its data."""

    data = serializers.DictField(source="payload", read_only=True)  # type: ignore[assignment]  # a field, not DRF's property

    class Meta(EventSerializer.Meta):
        fields = (*EventSerializer.Meta.fields, "data")
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample("A custom event", value=_POST, request_only=True),
        OpenApiExample("About a repository", value=_POST | {"repository": "acme/shop"}, request_only=True),
        OpenApiExample(
            "A push, as GitHub sends it",
            value={"type": "repository.pushed", "data": {"ref": "refs/heads/main", "repository": {"full_name": "acme/shop"}}},
            request_only=True,
        ),
    ]
)
class PostEventSerializer(StrictSerializer):
    """An event to publish (read by webhooks.services.posting, which is as strict and names the place in a batch)."""

    type = serializers.CharField(max_length=MAX_NAME)
    data = serializers.DictField(help_text="Delivered as it is.")  # type: ignore[assignment]  # a field, not DRF's property
    repository = serializers.CharField(
        required=False,
        allow_null=True,
        max_length=255,
        help_text="Id or full name. Left out, it is the visible one that `data.repository.full_name` names.",
    )


@extend_schema_serializer(examples=[OpenApiExample("Two events", value={"events": [_POST, _POST]}, request_only=True)])
class BatchSerializer(StrictSerializer):
    """Events to publish together."""

    events = serializers.ListField(child=PostEventSerializer(), min_length=1, max_length=MAX_EVENTS)


class _BatchResultSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    id = serializers.UUIDField()
    type = serializers.CharField()
    repository = serializers.UUIDField(allow_null=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One event",
            value={"ids": [_ID], "results": [{"index": 0, "id": _ID, "type": "custom.deployed", "repository": None}]},
            response_only=True,
        )
    ]
)
class BatchAnswerSerializer(serializers.Serializer[Any]):
    """The events, in the order in which they were posted."""

    ids = serializers.ListField(child=serializers.UUIDField())
    results = _BatchResultSerializer(many=True)


@extend_schema_serializer(examples=[OpenApiExample("A family", value=_TYPE, response_only=True)])
class EventTypeSerializer(serializers.Serializer[Any]):
    """A type, or a family where the name ends in `.*`."""

    name = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    schema = serializers.DictField(help_text="JSON Schema (2020-12) of the data.")
    example = serializers.DictField()
    strict = serializers.BooleanField(help_text="Whether posted data must fit the schema.")
    operational = serializers.BooleanField(help_text="About the portal's own deliveries: subscribed by exact name only.")
    recorded = serializers.BooleanField(help_text="Made for single webhooks, where their rules say so: nobody subscribes to it.")
    postable = serializers.BooleanField(help_text="Whether POST events takes it without the scope events:system.")
