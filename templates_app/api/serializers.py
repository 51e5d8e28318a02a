"""Integration templates as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import StrictModelSerializer, StrictSerializer
from templates_app.models import IntegrationTemplate

_CONFIG: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {
            "base_url": {"type": "string", "format": "uri", "title": "Address"},
            "token": {"type": "string", "title": "Token", "writeOnly": True},
        },
    },
    "defaults": {"base_url": "https://api.example.com/v1"},
    "required": ["base_url", "token"],
    "integration": {
        "config": {"base_url": "{{ base_url }}", "auth": "bearer", "health_path": "/health"},
        "credentials": {"token": "{{ token }}"},
    },
}
_WRITE: dict[str, Any] = {
    "name": "Ticket system",
    "type": "http",
    "description": "Our ticket system, as every team connects it.",
    "config": _CONFIG,
    "endpoints": [{"name": "get-issue", "method": "GET", "path": "/issues/{id}"}],
    "webhooks": [{"name": "Tickets", "events": ["finding.opened"], "destination": {"path": "/events"}}],
    "is_public": True,
}
_READ: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    "key": None,
    **_WRITE,
    "built_in": False,
    "version": 3,
    "owner": "team:payments",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}
DOCUMENT: dict[str, Any] = {
    "format": "repoguard.integration-template",
    "format_version": 1,
    "template": {
        **{name: _WRITE[name] for name in ("name", "type", "description", "config", "endpoints", "webhooks")},
        "key": _READ["id"],
        "version": 3,
    },
}


@extend_schema_serializer(
    examples=[OpenApiExample("A template", value=_READ, response_only=True), OpenApiExample("For a team", value=_WRITE, request_only=True)]
)
class TemplateSerializer(StrictModelSerializer[IntegrationTemplate]):
    """A blueprint of an integration; `config.schema` says which values it asks for. It never holds a secret."""

    owner = OwnerField()
    name = serializers.CharField(max_length=100)
    type = serializers.CharField(max_length=40, help_text="Key of the connector; see GET /api/v1/connectors.")
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    config = serializers.DictField(help_text="`schema`, `defaults`, `required` and `integration`; see docs/templates.md.")
    endpoints = serializers.ListField(child=serializers.DictField(), required=False, max_length=50)
    webhooks = serializers.ListField(child=serializers.DictField(), required=False, max_length=20)
    is_public = serializers.BooleanField(required=False, help_text="Everybody may see and use it; otherwise only its owner.")
    built_in = serializers.SerializerMethodField(help_text="It ships with the portal and can't be changed.")

    class Meta:
        model = IntegrationTemplate
        fields = tuple(_READ)
        read_only_fields = ("id", "key", "version", "created_at", "updated_at")

    def get_built_in(self, template: IntegrationTemplate) -> bool:
        """Say whether it ships with the code."""
        return template.key is not None


@extend_schema_serializer(examples=[OpenApiExample("An export", value=DOCUMENT)])
class DocumentSerializer(serializers.Serializer[Any]):
    """A template as a document, for another portal."""

    format = serializers.CharField(help_text="repoguard.integration-template")
    format_version = serializers.IntegerField()
    template = serializers.DictField()


@extend_schema_serializer(examples=[OpenApiExample("An export", value=DOCUMENT, request_only=True)])
class ImportSerializer(StrictSerializer):
    """What export answered."""

    format = serializers.CharField(max_length=100)
    format_version = serializers.IntegerField(min_value=1)
    template = serializers.DictField()
    owner = OwnerField()
