"""API keys, their use and the audit trail as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.models import ApiKey, ApiUsage, AuditEntry
from access.owners import owner_label
from access.services import DEFAULT_OVERLAP_HOURS, MAX_OVERLAP_HOURS, MAX_RATE
from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.models import Owner

_WRITE = {
    "name": "CI of payments",
    "scopes": ["events:write", "deliveries:read"],
    "environment": "live",
    "rate_per_minute": 60,
    "allowed_cidrs": ["10.20.0.0/16"],
    "expires_at": "2027-06-30T00:00:00Z",
}
_READ = {
    "id": "01980f3e-7d52-7c3e-9b1f-3f5d0c1a2b4c",
    "name": "CI of payments",
    "prefix": "rg_live_h3Kd92Xq",
    "owner": "team:payments",
    "environment": "live",
    "scopes": ["deliveries:read", "events:write"],
    "rate_per_minute": 60,
    "unlimited": False,
    "allowed_cidrs": ["10.20.0.0/16"],
    "expires_at": "2027-06-30T00:00:00Z",
    "revoked_at": None,
    "last_used_at": "2026-11-21T10:42:00Z",
    "last_used_address": "10.20.3.4",
    "successor": None,
    "created_at": "2026-11-01T08:00:00Z",
    "updated_at": "2026-11-01T08:00:00Z",
}
_KEY = "rg_live_h3Kd92Xq_" + "x" * 43


class OwnerField(serializers.CharField):
    """`user:alice` or `team:payments`; null is the admins. Views resolve what is sent by access.owners.resolve_owner."""

    def __init__(self, **kwargs: Any) -> None:
        text = "`user:NAME` or `team:NAME`; null means the admins. Left out, it is the caller's own."
        defaults: dict[str, Any] = {"required": False, "allow_null": True, "max_length": 160, "help_text": text}
        super().__init__(**(defaults | kwargs))

    def to_representation(self, value: Owner) -> str:  # type: ignore[override]  # shown from the row, taken as text
        """Return the label; the row must be loaded by access.selectors.with_owner."""
        return owner_label(value) or ""


@extend_schema_serializer(
    examples=[
        OpenApiExample("A key", value=_READ, response_only=True),
        OpenApiExample("A key for one job", value=_WRITE | {"owner": "team:payments"}, request_only=True),
    ]
)
class ApiKeySerializer(StrictModelSerializer[ApiKey]):
    """A key without its text, which is not stored."""

    owner = OwnerField()
    scopes = serializers.ListField(child=serializers.CharField(max_length=60), required=False, max_length=60, help_text="Default: all.")
    allowed_cidrs = serializers.ListField(child=serializers.CharField(max_length=60), required=False, max_length=100)
    rate_per_minute = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MAX_RATE, help_text="Null is the portal's default."
    )
    successor = serializers.UUIDField(source="successor_id", read_only=True, allow_null=True, help_text="The key that replaced it.")

    class Meta:
        model = ApiKey
        fields = tuple(_READ)
        read_only_fields = (
            "id",
            "prefix",
            "revoked_at",
            "last_used_at",
            "last_used_address",
            "created_at",
            "updated_at",
        )


@extend_schema_serializer(examples=[OpenApiExample("The key, this once", value=_READ | {"key": _KEY}, response_only=True)])
class CreatedApiKeySerializer(ApiKeySerializer):
    """A new key with its text: the only answer that shows it."""

    key = serializers.CharField(read_only=True, help_text="Keep it: it is not shown again.")

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")


@extend_schema_serializer(examples=[OpenApiExample("Old key works for two more hours", value={"overlap_hours": 2}, request_only=True)])
class RotateSerializer(StrictSerializer):
    """How long the old key goes on working."""

    overlap_hours = serializers.FloatField(required=False, default=DEFAULT_OVERLAP_HOURS, min_value=0, max_value=MAX_OVERLAP_HOURS)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A day's use of a route",
            value={"id": 7, "day": "2026-11-21", "route": "POST /api/v1/events", "requests": 1204, "errors": 3},
            response_only=True,
        )
    ]
)
class ApiUsageSerializer(StrictModelSerializer[ApiUsage]):
    """How often a key called a route on a day (UTC)."""

    class Meta:
        model = ApiUsage
        fields = ("id", "day", "route", "requests", "errors")
        read_only_fields = fields


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A changed webhook",
            value={
                "id": "01980f41-0c4b-7a8e-8f60-0d4a9d1b7e21",
                "at": "2026-11-21T10:42:07Z",
                "actor_kind": "user",
                "actor_id": "3",
                "actor": "user alice",
                "verb": "changed",
                "action": "",
                "object_type": "webhook",
                "object_id": "01980f3e-7d52-7c3e-9b1f-3f5d0c1a2b4c",
                "object_name": "Deploy bot",
                "changes": {"name": ["Deploy", "Deploy bot"], "secrets": ["(set)", "(changed)"]},
                "owner": "team:payments",
                "request_id": "4b0fbb2c6a4d4f0f9f0f4d8d1f2a7c55",
                "address": "10.20.3.4",
            },
            response_only=True,
        )
    ]
)
class AuditEntrySerializer(StrictModelSerializer[AuditEntry]):
    """Who did what to which object; secrets are shown as (set) and (changed)."""

    owner = OwnerField(read_only=True, required=None)
    changes = serializers.DictField(read_only=True, help_text="Field to [old, new].")

    class Meta:
        model = AuditEntry
        fields = (
            "id",
            "at",
            "actor_kind",
            "actor_id",
            "actor",
            "verb",
            "action",
            "object_type",
            "object_id",
            "object_name",
            "changes",
            "owner",
            "request_id",
            "address",
        )
        read_only_fields = fields
