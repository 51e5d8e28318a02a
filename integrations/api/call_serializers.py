"""What an integration's calls leave behind, as JSON: tests, the log, the quota, the breaker."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.models import RequestLog
from core.models.outbound import CircuitState
from integrations.api.integration_serializers import READ

_REPORT = {
    "ok": False,
    "message": "401 Unauthorized: the token was refused. Enter a new one in the integration.",
    "error_class": "sign_in_failed",
    "checked_at": "2026-11-20T09:30:00Z",
    "duration_ms": 182.4,
    "retry_after": None,
    "details": {},
    "credentials_expire_at": None,
}
_GOOD = _REPORT | {"ok": True, "message": "Connected as repoguard-bot.", "error_class": "", "details": {"scopes": ["read:issues"]}}


@extend_schema_serializer(examples=[OpenApiExample("Nothing", value={}, request_only=True)])
class EmptySerializer(StrictSerializer):
    """An empty object: the action takes no fields."""


@extend_schema_serializer(
    examples=[
        OpenApiExample("It works", value=_GOOD, response_only=True),
        OpenApiExample("A refused token", value=_REPORT, response_only=True),
    ]
)
class CheckReportSerializer(serializers.Serializer[Any]):
    """What a connection test found."""

    ok = serializers.BooleanField()
    message = serializers.CharField(help_text="In a sentence, with what to mend.")
    error_class = serializers.CharField(allow_blank=True, help_text="For programs; empty when it works.")
    checked_at = serializers.DateTimeField()
    duration_ms = serializers.FloatField()
    retry_after = serializers.FloatField(allow_null=True, help_text="Seconds to wait, where the service or a limit said so.")
    details = serializers.DictField(child=serializers.JSONField(allow_null=True), help_text="Such as the account.")
    credentials_expire_at = serializers.DateTimeField(allow_null=True)


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Rotated",
            value={
                "changed": ["token"],
                "tested": True,
                "message": "Connected as repoguard-bot.",
                "previous_credentials_until": "2026-11-21T09:30:00Z",
                "credentials": READ["credentials"],
            },
            response_only=True,
        )
    ]
)
class RotationSerializer(serializers.Serializer[Any]):
    """What a rotation changed."""

    changed = serializers.ListField(child=serializers.CharField(), help_text="Names of the secret fields that differ now.")
    tested = serializers.BooleanField()
    message = serializers.CharField(allow_blank=True, help_text="What the test found.")
    previous_credentials_until = serializers.DateTimeField(allow_null=True, help_text="Until then the old ones can be restored.")
    credentials = serializers.DictField(child=serializers.DictField(child=serializers.BooleanField()), help_text="Which are set.")


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A refused token",
            value={
                "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
                "purpose": "gateway",
                "endpoint": "issue",
                "method": "GET",
                "url": "https://issues.example.com/api/issues/7",
                "outcome": "unexpected",
                "attempt": 1,
                "status_code": 401,
                "error_class": "sign_in_failed",
                "error": "401 Unauthorized: the token was refused. Enter a new one in the integration.",
                "retry_after": None,
                "request_headers": {"Accept": "application/json", "Authorization": "***"},
                "response_headers": {"Content-Type": "application/json"},
                "request_bytes": 0,
                "response_bytes": 27,
                "response_body": '{"message": "Unauthorized"}',
                "address": "203.0.113.7",
                "started_at": "2026-11-20T09:30:00Z",
                "duration_ms": 182.4,
                "actor": "key CI of payments",
                "request_id": "4b0fbb2c6a4d4f0f9f0f4d8d1f2a7c55",
            },
            response_only=True,
        )
    ]
)
class RequestLogSerializer(StrictModelSerializer[RequestLog]):
    """One outbound call, redacted; also one that was refused before anything was sent."""

    class Meta:
        model = RequestLog
        fields = (
            "id", "purpose", "endpoint", "method", "url", "outcome", "attempt", "status_code", "error_class", "error", "retry_after",
            "request_headers", "response_headers", "request_bytes", "response_bytes", "response_body", "address", "started_at",
            "duration_ms", "actor", "request_id",
        )  # fmt: skip
        read_only_fields = fields


class WindowSerializer(serializers.Serializer[Any]):
    """A limit and what of it is used; without a limit nothing is counted."""

    limit = serializers.IntegerField(allow_null=True, help_text="Null is no limit.")
    window_seconds = serializers.IntegerField()
    used = serializers.IntegerField()
    remaining = serializers.IntegerField(allow_null=True)
    window_start = serializers.DateTimeField()
    resets_at = serializers.DateTimeField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Most of it is left",
            value={
                "quota": {
                    "limit": 5000,
                    "window_seconds": 3600,
                    "used": 812,
                    "remaining": 4188,
                    "window_start": "2026-11-20T09:00:00Z",
                    "resets_at": "2026-11-20T10:00:00Z",
                },
                "rate": {
                    "limit": 120,
                    "window_seconds": 60,
                    "used": 3,
                    "remaining": 117,
                    "window_start": "2026-11-20T09:30:00Z",
                    "resets_at": "2026-11-20T09:31:00Z",
                },
            },
            response_only=True,
        )
    ]
)
class QuotaSerializer(serializers.Serializer[Any]):
    """The quota, and the rate per minute, in their present windows."""

    quota = WindowSerializer()
    rate = WindowSerializer()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "Open",
            value={
                "state": "open",
                "failures": 5,
                "trips": 1,
                "opened_at": "2026-11-20T09:30:00Z",
                "hold_until": "2026-11-20T09:30:30Z",
                "last_error": "Connection refused: nothing listens there.",
                "changed_at": "2026-11-20T09:30:00Z",
            },
            response_only=True,
        )
    ]
)
class CircuitSerializer(serializers.Serializer[Any]):
    """The circuit breaker."""

    state = serializers.ChoiceField(choices=CircuitState.choices)
    failures = serializers.IntegerField(help_text="In a row.")
    trips = serializers.IntegerField(help_text="How often it opened without a success since.")
    opened_at = serializers.DateTimeField(allow_null=True)
    hold_until = serializers.DateTimeField(allow_null=True, help_text="When it lets a probe through.")
    last_error = serializers.CharField(allow_blank=True)
    changed_at = serializers.DateTimeField(allow_null=True)
