"""Integrations as JSON. Credentials are written and never shown: the answer says only which are set."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.models.outbound import CircuitState
from integrations.choices import Category, HealthState
from integrations.models import Integration
from integrations.selectors.integrations import credentials_set
from integrations.services.credentials import LONGEST_OVERLAP_HOURS
from integrations.services.values import BOUNDS, MAX_TEXT

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
WRITE: dict[str, Any] = {
    "name": "Issue tracker",
    "type": "http",
    "category": "development",
    "environment": "production",
    "config": {"base_url": "https://issues.example.com/api", "auth": "bearer"},
    "credentials": {"token": "an-access-token"},
    "status": "active",
    "credentials_expire_at": "2027-06-30T00:00:00Z",
    "metadata": {"ticket": "OPS-118"},
    "purpose": "Opens tickets for critical findings.",
    "exchanged_data": "Titles and links of findings go out; ticket numbers come in.",
    "criticality": "important",
    "sla_availability": 99.5,
    "sla_response_ms": 800,
    "quota_limit": 5000,
    "quota_window_seconds": 3600,
    "rate_per_minute": 120,
    "breaker_failures": 5,
    "breaker_hold_seconds": 30,
    "timeout_seconds": 30,
    "stale_seconds": 0,
}
READ: dict[str, Any] = {
    "id": _ID,
    **WRITE,
    "credentials": {"token": {"set": True}},
    "credentials_changed_at": "2026-11-20T09:30:00Z",
    "previous_credentials_until": None,
    "health": "healthy",
    "circuit": "closed",
    "owner": "team:payments",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}
_LEAST = {key: WRITE[key] for key in ("name", "type", "config", "credentials")}
_CREDENTIALS = "Secret fields of the connector. Shown as {set: true}; those left out, or sent back as shown, keep their value."


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ConfigField(serializers.JSONField):
    """An object whose fields the connector declares; the service checks them."""


@extend_schema_field({"type": "object", "additionalProperties": {}})
class CredentialsField(serializers.JSONField):
    """Secrets: written, never shown."""

    def get_attribute(self, instance: Integration) -> dict[str, bool] | None:
        """Return which are set, None where they can't be decrypted."""
        return credentials_set(instance)

    def to_representation(self, value: dict[str, bool] | None) -> dict[str, Any] | None:  # type: ignore[override]  # shown otherwise
        """Return {name: {"set": …}}."""
        return None if value is None else {name: {"set": present} for name, present in value.items()}


def bounded(name: str, help_text: str) -> Any:
    """Return the field of a number with the bounds that the service knows."""
    bound = BOUNDS[name]
    maker: Any = serializers.IntegerField if bound.whole else serializers.FloatField
    low, high = (int(bound.low), int(bound.high)) if bound.whole else (bound.low, bound.high)
    return maker(required=False, allow_null=bound.nullable, min_value=low, max_value=high, help_text=help_text)


@extend_schema_serializer(
    examples=[
        OpenApiExample("An integration", value=READ, response_only=True),
        OpenApiExample("The least", value=_LEAST, request_only=True),
        OpenApiExample("Everything", value=WRITE, request_only=True),
    ]
)
class IntegrationSerializer(StrictModelSerializer[Integration]):
    """A connector with its configuration; GET /api/v1/connectors describes `config` and `credentials` of each type."""

    owner = OwnerField()
    name = serializers.CharField(max_length=100)
    type = serializers.CharField(max_length=40, help_text="Key of the connector; it stays.")
    category = serializers.ChoiceField(choices=Category.choices, required=False, help_text="Left out, the connector's first.")
    config = ConfigField(required=False, help_text="As the connector's schema says. A PATCH merges it, and null removes a value.")
    credentials = CredentialsField(required=False, help_text=_CREDENTIALS)
    metadata = ConfigField(required=False, help_text="Notes of your own, never secrets.")
    purpose = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT, help_text="Why it exists.")
    exchanged_data = serializers.CharField(required=False, allow_blank=True, max_length=MAX_TEXT, help_text="Which data goes out and in.")
    credentials_expire_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Announced beforehand as an event.")
    sla_availability = bounded("sla_availability", "Target in percent of checks.")
    sla_response_ms = bounded("sla_response_ms", "Target for the 95th percentile of checks.")
    quota_limit = bounded("quota_limit", "Calls per window; null is no limit.")
    quota_window_seconds = bounded("quota_window_seconds", "Length of the window.")
    rate_per_minute = bounded("rate_per_minute", "Calls a minute; null is no limit.")
    breaker_failures = bounded("breaker_failures", "Failures in a row that open the circuit breaker.")
    breaker_hold_seconds = bounded("breaker_hold_seconds", "First hold of an open breaker; it doubles each time, up to an hour.")
    timeout_seconds = bounded("timeout_seconds", "A call that takes longer has failed.")
    stale_seconds = bounded("stale_seconds", "How old an answer may be that stands in while the service can't be asked; 0 is never.")
    previous_credentials_until = serializers.DateTimeField(
        source="previous_until", read_only=True, allow_null=True, help_text="Until then the old credentials can be restored."
    )
    health = serializers.SerializerMethodField(help_text="What the last checks say; unhealthy while the breaker is not closed.")
    circuit = serializers.ChoiceField(source="circuit_state", choices=CircuitState.choices, read_only=True, help_text="The breaker.")

    class Meta:
        model = Integration
        fields = tuple(READ)
        read_only_fields = ("id", "credentials_changed_at", "created_at", "updated_at")

    @extend_schema_field({"type": "string", "enum": list(HealthState.values)})
    def get_health(self, integration: Integration) -> str:
        """Return the state that checks made, unless the breaker is not closed."""
        return str(integration.shown_health)  # type: ignore[attr-defined]  # annotated


@extend_schema_serializer(
    examples=[
        OpenApiExample("As it is stored", value={}, request_only=True),
        OpenApiExample("With another token, which is not stored", value={"credentials": {"token": "another"}}, request_only=True),
    ]
)
class TestSerializer(StrictSerializer):
    """Values to try instead of the stored ones; nothing is stored."""

    __test__ = False
    config = ConfigField(required=False, help_text="Merged into the stored one.")
    credentials = CredentialsField(required=False, help_text="Those left out are the stored ones.")


@extend_schema_serializer(examples=[OpenApiExample("A new integration", value=_LEAST, request_only=True)])
class TestNewSerializer(IntegrationSerializer):
    """An integration that is not stored yet."""

    __test__ = False


@extend_schema_serializer(
    examples=[
        OpenApiExample("The settings' overlap", value={"credentials": {"token": "the-new-token"}}, request_only=True),
        OpenApiExample(
            "At once and untested", value={"credentials": {"token": "the-new-token"}, "overlap_hours": 0, "force": True}, request_only=True
        ),
    ]
)
class RotateCredentialsSerializer(StrictSerializer):
    """A rotation: the new credentials are tried before they are stored."""

    credentials = ConfigField(help_text="The new ones; those left out stay.")
    overlap_hours = serializers.FloatField(
        required=False, min_value=0, max_value=LONGEST_OVERLAP_HOURS, help_text="How long the old ones can be restored; 0 drops them."
    )
    force = serializers.BooleanField(required=False, default=False, help_text="Store them without a test.")
