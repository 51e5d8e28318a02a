"""Connectors: which there are, and what each asks for."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.pagination import WholeList, whole_list
from core.api.viewsets import PortalViewSet
from core.errors import NotFound
from integrations import registry
from integrations.contract.describe import describe
from integrations.contract.fields import FieldKind
from integrations.models import Integration

_FIELD = {
    "name": "token",
    "title": "Token",
    "kind": "text",
    "help": "Sent as Authorization: Bearer ….",
    "secret": True,
    "required": True,
    "default": None,
    "choices": [],
    "placeholder": "",
    "link": "",
    "only_if": {"auth": ["bearer"]},
}
_OBJECT = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "additionalProperties": False}
_CONNECTOR = {
    "key": "http",
    "title": "Any HTTP service",
    "description": "A REST, GraphQL or SOAP endpoint: check it, call it through the portal, send events to it.",
    "categories": ["development"],
    "capabilities": ["check", "gateway", "destination"],
    "docs": "",
    "fields": [_FIELD],
    "destination_fields": [],
    "source_fields": [],
    "config_schema": _OBJECT | {"properties": {"base_url": {"type": "string", "format": "uri"}}, "required": ["base_url"]},
    "credentials_schema": _OBJECT | {"properties": {"token": {"type": "string", "writeOnly": True}}},
    "destination_schema": _OBJECT | {"properties": {"path": {"type": "string"}}},
    "source_schema": None,
    "example": {"config": {"base_url": "https://api.example.com/v1", "auth": "bearer"}, "credentials": {"token": "an-access-token"}},
}


class _ChoiceSerializer(serializers.Serializer[Any]):
    value = serializers.CharField()
    title = serializers.CharField()


class _FieldSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.ChoiceField(choices=FieldKind.choices)
    help = serializers.CharField()
    secret = serializers.BooleanField(help_text="Whether it belongs into `credentials` rather than `config`.")
    required = serializers.BooleanField(help_text="Where it applies, and has no default.")  # type: ignore[assignment]  # no attribute
    default = serializers.JSONField(allow_null=True)
    choices = _ChoiceSerializer(many=True)
    placeholder = serializers.CharField()
    link = serializers.CharField(help_text="The provider's page that says where to find it.")
    only_if = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        allow_null=True,
        help_text="It applies only if the named field has one of these values.",
    )


@extend_schema_serializer(examples=[OpenApiExample("Shortened", value=_CONNECTOR, response_only=True)])
class ConnectorSerializer(serializers.Serializer[Any]):
    """A connector; its key is the `type` of integrations."""

    key = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField()
    categories = serializers.ListField(child=serializers.CharField())
    capabilities = serializers.ListField(child=serializers.CharField())
    docs = serializers.CharField(help_text="The provider's page about its API.")
    fields = _FieldSerializer(many=True)  # type: ignore[assignment]
    destination_fields = _FieldSerializer(many=True)
    source_fields = _FieldSerializer(many=True)
    config_schema = serializers.DictField(help_text="JSON Schema (2020-12) of an integration's `config`.")
    credentials_schema = serializers.DictField(help_text="JSON Schema of its `credentials`, which are written and never shown.")
    destination_schema = serializers.DictField(
        allow_null=True, help_text="JSON Schema of a webhook's `destination`; null where it takes no events."
    )
    source_schema = serializers.DictField(
        allow_null=True, help_text="JSON Schema of an inbound source's `config`; null where its webhooks are not received."
    )
    example = serializers.DictField(help_text="Values that are valid.")


class ConnectorViewSet(PortalViewSet[Integration]):
    """What integrations can be made of. It is part of the code, so it changes with releases only."""

    scope_resource = "integrations"
    queryset = Integration.objects.none()
    serializer_class = ConnectorSerializer
    pagination_class = WholeList

    @extend_schema(responses={200: ConnectorSerializer(many=True)})
    def list(self, request: Request) -> Response:
        """List every connector, by key."""
        connectors = sorted(registry.CONNECTORS, key=lambda connector: connector.key)
        return whole_list([ConnectorSerializer(describe(connector)).data for connector in connectors])

    @extend_schema(responses={200: ConnectorSerializer})
    def retrieve(self, request: Request, id: str) -> Response:
        """Answer one connector by its key."""
        for connector in registry.CONNECTORS:
            if connector.key == id:
                return self.answer(describe(connector))
        raise NotFound("There is no such connector; GET /api/v1/connectors lists them.")
