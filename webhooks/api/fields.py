"""Serializer fields of the webhooks room."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from access.principals import principal
from core import redact
from core.http.custom_headers import masked
from webhooks.choices import Lane
from webhooks.models import Webhook
from webhooks.routing.checking import FLOORS, LONGEST_LIFE, LONGEST_WINDOW, MAX_DIGEST, SHORTEST_LIFE, SHORTEST_QUIET, SHORTEST_WINDOW
from webhooks.routing.rules import Digest, DigestKey, DigestMode, Lanes
from webhooks.selectors import shown_headers

_LANES = {str(label): Lane(value) for value, label in Lane.choices}


class PriorityField(serializers.ChoiceField):
    """`high`, `normal` or `low`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=list(_LANES), **kwargs)

    def to_internal_value(self, data: Any) -> Lane:  # type: ignore[override]  # a choice of words for numbers
        """Return the lane of a word."""
        return _LANES[super().to_internal_value(data)]

    def to_representation(self, value: int) -> str:  # type: ignore[override]
        """Return the word of a lane."""
        return str(Lane(value).label)


@extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
class HeadersField(serializers.JSONField):
    """Custom headers: written whole, shown with their values masked; a masked value sent back keeps the stored one."""

    def get_attribute(self, instance: Webhook) -> dict[str, str] | None:
        """Return the headers, {} for none, None for those that can't be decrypted."""
        return shown_headers(instance)

    def to_representation(self, value: dict[str, str] | None) -> dict[str, str]:  # type: ignore[override]  # shown otherwise than written
        """Return the names with masked values."""
        return masked(value)


@extend_schema_field(
    {
        "type": "object",
        "nullable": True,
        "properties": {
            "branches": {"type": "array", "items": {"type": "string"}, "example": ["main", "release/*", "!dependabot/*"]},
            "min_severity": {"type": "string", "enum": list(FLOORS)},
            "new_only": {"type": "boolean"},
            "digest": {
                "type": "object",
                "properties": {
                    "window_seconds": {"type": "integer", "minimum": SHORTEST_WINDOW, "maximum": LONGEST_WINDOW},
                    "key": {"type": "array", "items": {"type": "string", "enum": DigestKey.values}, "default": list(Digest.key)},
                    "mode": {"type": "string", "enum": DigestMode.values, "default": Digest.mode},
                    "quiet_seconds": {"type": "integer", "minimum": SHORTEST_QUIET, "maximum": LONGEST_WINDOW},
                    "max_events": {"type": "integer", "minimum": 2, "maximum": MAX_DIGEST, "default": MAX_DIGEST},
                },
                "required": ["window_seconds"],
            },
            "lanes": {"type": "string", "enum": Lanes.values, "default": Lanes.PRIORITY.value},
            "supersede": {"type": "boolean"},
            "expires_after": {"type": "integer", "minimum": SHORTEST_LIFE, "maximum": LONGEST_LIFE},
        },
        "additionalProperties": False,
    }
)
class RoutingField(serializers.JSONField):
    """Rules about how events reach a webhook; written whole. What they may hold is in webhooks/routing/checking.py."""


@extend_schema_field(OpenApiTypes.URI)
class WebhookUrlField(serializers.CharField):
    """The URL; who may only read sees it without credentials."""

    def to_representation(self, value: str) -> str:
        """Return the URL as the caller may see it."""
        request = self.context.get("request")
        return value if request is not None and principal(request).may_write else redact.url(value)


@extend_schema_field({"type": "array", "items": {"type": "string", "format": "uuid"}})
class RepositoriesField(serializers.ListField):
    """Ids of the repositories that a webhook is limited to; empty is all. The view loads the rows."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=serializers.UUIDField(), **kwargs)

    def get_attribute(self, instance: Webhook) -> list[Any]:
        """Return the ids, from the rows that live_webhooks() has loaded."""
        return [row.repository_id for row in instance.webhookrepository_set.all()]
