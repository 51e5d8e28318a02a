"""Endpoints and gateway calls as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import StrictModelSerializer, StrictSerializer
from integrations.gateway.answer import BodyKind
from integrations.gateway.endpoints import MAX_CACHE_SECONDS, MAX_DESCRIPTION, MAX_NAME
from integrations.gateway.paths import MAX_PATH
from integrations.models import Endpoint
from integrations.models.endpoint import Method

_WRITE: dict[str, Any] = {
    "name": "search-issues",
    "description": "Issues of a project, by state.",
    "method": "GET",
    "path": "/projects/{project}/issues",
    "parameters": {
        "type": "object",
        "properties": {
            "project": {"type": "string", "maxLength": 100},
            "state": {"enum": ["open", "closed"]},
            "labels": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["project"],
    },
    "body_schema": None,
    "fixed_query": {"per_page": 50},
    "cache_seconds": 60,
    "scope": "",
    "enabled": True,
}
_READ: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    **_WRITE,
    "url": "/api/v1/integrations/0192f0c1-2b3c-7d4e-8f50-000000000001/endpoints/search-issues",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}
_ANSWER: dict[str, Any] = {
    "status": 200,
    "headers": {"content-type": "application/json", "etag": '"5d1f"'},
    "body": [{"id": 7, "title": "Checkout fails", "state": "open"}],
    "body_kind": "json",
    "cached": False,
    "stale": False,
    "age_seconds": 0.0,
    "duration_ms": 84.2,
    "request_id": "4b0fbb2c6a4d4f0f9f0f4d8d1f2a7c55",
}


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(serializers.JSONField):
    """A JSON object."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse every other kind of JSON."""
        if not isinstance(data, dict):
            raise serializers.ValidationError("must be a JSON object.")
        return super().to_internal_value(data)


@extend_schema_field({})
class AnythingField(serializers.JSONField):
    """Any JSON value."""


@extend_schema_serializer(
    examples=[
        OpenApiExample("An endpoint", value=_READ, response_only=True),
        OpenApiExample("The least", value={"name": "get-status", "path": "/status"}, request_only=True),
        OpenApiExample("Everything", value=_WRITE, request_only=True),
    ]
)
class EndpointSerializer(StrictModelSerializer[Endpoint]):
    """A named call that teams may make through an integration, without its credentials."""

    name = serializers.CharField(max_length=MAX_NAME, help_text="Part of its URL: lower case letters, digits, hyphens.")
    description = serializers.CharField(required=False, allow_blank=True, max_length=MAX_DESCRIPTION)
    method = serializers.ChoiceField(choices=Method.choices, required=False)
    path = serializers.CharField(
        allow_blank=True,
        max_length=MAX_PATH,
        help_text="Below the integration's address; {name} is a path parameter. Empty: the address itself.",
    )
    parameters = ObjectField(required=False, help_text="JSON Schema of an object: path and query parameters. Others are refused.")
    body_schema = ObjectField(required=False, allow_null=True, help_text="JSON Schema of the body; null: no body is taken.")
    fixed_query = ObjectField(required=False, help_text="Query parameters sent with every call.")
    cache_seconds = serializers.IntegerField(
        required=False, min_value=0, max_value=MAX_CACHE_SECONDS, help_text="How long an answer to the same GET is reused."
    )
    scope = serializers.CharField(
        required=False, allow_blank=True, max_length=60, help_text="Scope that a caller needs besides; empty is none."
    )
    enabled = serializers.BooleanField(required=False)
    url = serializers.SerializerMethodField(help_text="Where it is called, by POST.")

    class Meta:
        model = Endpoint
        fields = tuple(_READ)
        read_only_fields = ("id", "created_at", "updated_at")
        # the service says what is wrong with a second one, under any isolation
        validators: list[object] = []

    def get_url(self, endpoint: Endpoint) -> str:
        """Return the route."""
        return f"/api/v1/integrations/{endpoint.integration_id}/endpoints/{endpoint.name}"


@extend_schema_serializer(
    examples=[
        OpenApiExample("With parameters", value={"parameters": {"project": "shop", "state": "open"}}, request_only=True),
        OpenApiExample("With a body", value={"parameters": {"project": "shop"}, "body": {"title": "Checkout fails"}}, request_only=True),
    ]
)
class EndpointCallSerializer(StrictSerializer):
    """What goes into the endpoint's path, query and body; its schemas say what is taken."""

    parameters = ObjectField(required=False, help_text="Path and query parameters.")
    body = AnythingField(required=False, allow_null=True, help_text="Sent as JSON.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("A GET", value={"method": "GET", "path": "/projects/shop/issues", "query": {"state": "open"}}, request_only=True),
        OpenApiExample("A POST", value={"method": "POST", "path": "/projects/shop/issues", "body": {"title": "x"}}, request_only=True),
    ]
)
class FreeCallSerializer(StrictSerializer):
    """A call below the integration's address."""

    method = serializers.ChoiceField(choices=Method.choices, required=False, default=Method.GET.value)
    path = serializers.CharField(
        allow_blank=True, max_length=MAX_PATH, trim_whitespace=False, help_text="Starts with /, below the integration's address."
    )
    query = ObjectField(required=False, help_text="Names with texts, numbers, truth values, or lists of these.")
    headers = ObjectField(required=False, help_text="Only harmless ones, such as Accept or Idempotency-Key.")
    body = AnythingField(required=False, allow_null=True, help_text="Sent as JSON; a text as it is, where Content-Type is not JSON.")


@extend_schema_serializer(examples=[OpenApiExample("An answer", value=_ANSWER, response_only=True)])
class GatewayAnswerSerializer(serializers.Serializer[Any]):
    """The service's answer."""

    status = serializers.IntegerField(help_text="Status of the service's answer; others than 2xx are errors of this call.")
    headers = serializers.DictField(child=serializers.CharField(), help_text="Its harmless headers, in lower case.")
    body = AnythingField(allow_null=True, help_text="Its body, as `body_kind` says.")
    body_kind = serializers.ChoiceField(choices=[kind.value for kind in BodyKind])
    cached = serializers.BooleanField(help_text="The service was not asked for this call, or said that nothing changed.")
    stale = serializers.BooleanField(help_text="An older answer, because the service could not be asked.")
    age_seconds = serializers.FloatField(help_text="How old the answer is.")
    duration_ms = serializers.FloatField(help_text="How long the call took in all.")
    request_id = serializers.CharField(help_text="Names the call in the log of the integration.")


_DOCUMENT = {"openapi": "3.1.0", "info": {"title": "Issue tracker, through RepoGuard", "version": "2026-11-20"}, "paths": {}}


@extend_schema_serializer(examples=[OpenApiExample("A document", value=_DOCUMENT, response_only=True)])
class OpenApiSerializer(serializers.Serializer[Any]):
    """An OpenAPI 3.1 document."""

    openapi = serializers.CharField()
    info = serializers.DictField()
    paths = serializers.DictField()
