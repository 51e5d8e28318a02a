"""Payload templates as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.event_types import MAX_NAME
from templates_app.choices import ContentType
from templates_app.models import PayloadTemplate, TemplateVersion
from templates_app.payloads.services import MAX_NOTE
from templates_app.rendering.refused import MOST_CHARACTERS, MOST_LINES

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
BODY = '{"text": "{{ message.title }}", "severity": {{ data.severity }}, "link": "{{ message.link }}"}'
_CONTENT: dict[str, Any] = {
    "body": BODY,
    "headers": {"X-Severity": "{{ data.severity }}"},
    "url_path": "/repositories/{{ data.repository }}",
    "url_query": {"kind": "{{ event.type }}"},
}
_WRITE: dict[str, Any] = {
    "name": "Build chat",
    "description": "As our chat's own hook takes it.",
    "platform": "",
    "content_type": "application/json",
    "events": ["finding.*"],
    **_CONTENT,
    "note": "First try.",
}
_VERSION: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b9",
    "number": 3,
    **_CONTENT,
    "note": "The link as well.",
    "warnings": [],
    "created_by": "alice",
    "created_at": "2026-11-20T09:30:00Z",
}
_READ: dict[str, Any] = {
    "id": _ID,
    **{name: value for name, value in _WRITE.items() if name not in _CONTENT and name != "note"},
    "owner": "team:payments",
    "active": _VERSION,
    "latest": 3,
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}
_PREVIEW: dict[str, Any] = {
    "body": '{"text": "New: high – Prototype pollution in lodash", "severity": "high", "link": "https://repoguard.example.com/…"}',
    "content_type": "application/json",
    "headers": {"X-Severity": "high"},
    "url": "…/repositories/acme%2Fshop?kind=finding.opened",
    "size": 118,
    "event": {"id": _ID, "type": "finding.opened"},
    "problems": [],
    "refused_output": None,
    "warnings": [],
    "used": {"steps": 31, "loop_turns": 0},
    "limits": {"output_bytes": 524_288, "loop_turns": 10_000},
}
_PLATFORM = "Key of the connector whose body it replaces; empty for webhooks to a URL."


def _texts(help_text: str) -> serializers.DictField:
    child = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=2000)
    return serializers.DictField(child=child, required=False, help_text=help_text)


class ContentSerializer(StrictSerializer):
    """What a version holds. Each text may hold outputs and tags; docs/payload-templates.md describes them."""

    body = serializers.CharField(allow_blank=True, trim_whitespace=False, max_length=70_000, help_text="At most 64 KB.")
    headers = _texts("Added to each request; credentials belong into the webhook's own headers. Empty for a platform's template.")
    url_path = serializers.CharField(
        required=False, allow_blank=True, max_length=2000, help_text="Added to the path of the webhook's URL; values are encoded."
    )
    url_query = _texts("Added to its query; values are encoded.")
    note = serializers.CharField(required=False, allow_blank=True, max_length=MAX_NOTE, help_text="Why it is made.")


@extend_schema_serializer(examples=[OpenApiExample("The next version", value={**_CONTENT, "note": "The link as well."}, request_only=True)])
class NewVersionSerializer(ContentSerializer):
    """A new version; it becomes the active one."""


@extend_schema_serializer(examples=[OpenApiExample("A version", value=_VERSION, response_only=True)])
class VersionSerializer(StrictModelSerializer[TemplateVersion]):
    """A version as it was saved; it never changes."""

    warnings = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Variables that no documented event has.")

    class Meta:
        model = TemplateVersion
        fields = tuple(_VERSION)
        read_only_fields = fields


class _Named(serializers.Serializer[Any]):
    """What a template is called, and what it is for."""

    name = serializers.CharField(max_length=100)
    description = serializers.CharField(max_length=2000, required=False, allow_blank=True)
    platform = serializers.CharField(
        max_length=40,
        required=False,
        allow_blank=True,
        help_text=_PLATFORM,
    )
    content_type = serializers.ChoiceField(choices=ContentType.choices, required=False, help_text="Values are escaped for it.")
    events = serializers.ListField(
        child=serializers.CharField(max_length=MAX_NAME), max_length=100, required=False, help_text="What it is checked with; default all."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample("A template", value=_READ, response_only=True),
        OpenApiExample("Its name", value={"name": "Build chat of payments"}, request_only=True),
    ]
)
class PayloadTemplateSerializer(_Named, StrictModelSerializer[PayloadTemplate]):
    """What webhooks send in place of the event, with its active version."""

    owner = OwnerField()
    active = VersionSerializer(read_only=True)

    class Meta:
        model = PayloadTemplate
        fields: tuple[str, ...] = tuple(_READ)
        read_only_fields: tuple[str, ...] = ("id", "latest", "created_at", "updated_at")


@extend_schema_serializer(examples=[OpenApiExample("For a service of one's own", value=_WRITE, request_only=True)])
class NewPayloadTemplateSerializer(_Named, ContentSerializer):
    """A template with its first version."""

    owner = OwnerField()


@extend_schema_serializer(examples=[OpenApiExample("Back to the second", value={"version": 2}, request_only=True)])
class RollbackSerializer(StrictSerializer):
    """Which version becomes the active one."""

    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


@extend_schema_serializer(
    examples=[
        OpenApiExample("Of a type's example", value={"body": BODY, "event_type": "finding.opened"}, request_only=True),
        OpenApiExample("Of a recorded event", value={"body": BODY, "event_id": _ID}, request_only=True),
    ]
)
class PreviewSerializer(ContentSerializer):
    """What to render, and for which event; nothing is stored."""

    platform = serializers.CharField(max_length=40, required=False, allow_blank=True)
    content_type = serializers.ChoiceField(choices=ContentType.choices, required=False)
    events = serializers.ListField(
        child=serializers.CharField(max_length=MAX_NAME),
        max_length=100,
        required=False,
        help_text="Given, what a save checks is checked.",
    )
    url = serializers.URLField(max_length=2000, required=False, help_text="To show the address with what is added to it.")
    event_id = serializers.UUIDField(required=False, help_text="A recorded event that you can see; needs `events:read`.")
    event_type = serializers.CharField(max_length=MAX_NAME, required=False, help_text="Its example; default finding.opened.")


class RefusedOutputSerializer(serializers.Serializer[Any]):
    """What the template made and is no JSON: the lines around the error."""

    of = serializers.CharField(help_text="The event type; of what a save tries out, also what was put into its data.")
    text = serializers.CharField(
        help_text=f"At most {MOST_CHARACTERS:,} characters and {MOST_LINES} lines before the error, and behind it."
    )
    first_line = serializers.IntegerField(help_text="Which line of the output the text begins in, from 1.")
    first_column = serializers.IntegerField(help_text="And with which column: more than 1 where the line is too long.")
    line = serializers.IntegerField(help_text="Line of the error, in the output.")
    column = serializers.IntegerField()
    size = serializers.IntegerField(help_text="Bytes of the whole output.")


@extend_schema_serializer(examples=[OpenApiExample("What would be sent", value=_PREVIEW, response_only=True)])
class PreviewedSerializer(serializers.Serializer[Any]):
    """What would be sent; null where `problems` say that nothing would."""

    body = serializers.CharField(allow_null=True)
    content_type = serializers.CharField()
    headers = serializers.DictField(child=serializers.CharField())
    url = serializers.CharField(allow_null=True)
    size = serializers.IntegerField(help_text="Bytes of the body.")
    event = serializers.DictField()
    problems = serializers.ListField(child=serializers.CharField())
    refused_output = RefusedOutputSerializer(allow_null=True)
    warnings = serializers.ListField(child=serializers.CharField())
    used = serializers.DictField()
    limits = serializers.DictField()


@extend_schema_serializer(
    examples=[OpenApiExample("Of one version to the next", value={"from": 2, "to": 3, "diff": "--- version 2\n+++ version 3\n…"})]
)
class VersionDiffSerializer(serializers.Serializer[Any]):
    """What changed between two versions."""

    to = serializers.IntegerField()
    diff = serializers.CharField(help_text="A unified diff of all parts; empty where they are the same.")

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add `from`, which is no name in Python."""
        return {"from": serializers.IntegerField(), **super().get_fields()}


_VARIABLE = {"name": "message.title", "type": "text", "description": "One line: what happened.", "example": "Gate failed: acme/shop"}


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Of an event type", value={"event_type": "gate.failed", "variables": [_VARIABLE], "filters": ["append"], "limits": {}}
        )
    ]
)
class VariablesSerializer(serializers.Serializer[Any]):
    """What templates can name, for one event type."""

    event_type = serializers.CharField()
    variables = serializers.ListField(child=serializers.DictField(), help_text="`[]` in a name stands for an entry of a list.")
    filters = serializers.ListField(child=serializers.CharField())
    limits = serializers.DictField()
