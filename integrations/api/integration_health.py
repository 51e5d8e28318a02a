"""The health of an integration: an action of the integrations viewset, and its JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.viewsets import PortalViewSet
from core.errors import InvalidInput
from core.models.outbound import CircuitState
from integrations.choices import HealthState
from integrations.health.days import Day
from integrations.health.report import DEFAULT_DAYS, MOST_DAYS, Report, report_of
from integrations.models import Integration

_DAY = {
    "day": "2026-11-20",
    "checks": 288,
    "failures": 2,
    "unmeasured": 0,
    "availability": 99.305,
    "p50_ms": 182.4,
    "p95_ms": 390.1,
    "p99_ms": 1204.8,
    "availability_met": False,
    "response_met": True,
}
_EXAMPLE: dict[str, Any] = {
    "state": "unhealthy",
    "circuit": "closed",
    "since": "2026-11-20T09:45:00Z",
    "failing_since": "2026-11-20T09:35:00Z",
    "consecutive_failures": 4,
    "last_checked_at": "2026-11-20T09:50:00Z",
    "last_success_at": "2026-11-20T09:30:00Z",
    "last_error": "401 Unauthorized: the token was refused. Enter a new one in the integration.",
    "not_measured": "",
    "next_check_at": "2026-11-20T09:54:30Z",
    "targets": {"availability": 99.5, "response_ms": 800},
    "checks": 8640,
    "failures": 12,
    "unmeasured": 0,
    "availability": 99.861,
    "availability_met": True,
    "error_budget": {"allowed_failures": 43.2, "used": 12, "left_percent": 72.2},
    "days": [_DAY],
}


class HealthDaySerializer(serializers.Serializer[Any]):
    """The scheduled checks of one UTC day."""

    day = serializers.DateField()
    checks = serializers.IntegerField()
    failures = serializers.IntegerField()
    unmeasured = serializers.IntegerField(help_text="Not among the checks: the portal itself was at fault.")
    availability = serializers.FloatField(allow_null=True, help_text="Successful checks in percent.")
    p50_ms = serializers.FloatField(allow_null=True, help_text="Milliseconds, over successful checks.")
    p95_ms = serializers.FloatField(allow_null=True)
    p99_ms = serializers.FloatField(allow_null=True)
    availability_met = serializers.BooleanField(allow_null=True, help_text="Null without a target or a check.")
    response_met = serializers.BooleanField(allow_null=True, help_text="Whether p95_ms is within the target.")


class TargetsSerializer(serializers.Serializer[Any]):
    """The SLA targets of the integration."""

    availability = serializers.FloatField(allow_null=True, help_text="Percent of checks.")
    response_ms = serializers.IntegerField(allow_null=True, help_text="For the 95th percentile.")


class ErrorBudgetSerializer(serializers.Serializer[Any]):
    """What the availability target allows to fail over the days shown."""

    allowed_failures = serializers.FloatField()
    used = serializers.IntegerField()
    left_percent = serializers.FloatField(help_text="Below 0 when overdrawn.")


@extend_schema_serializer(
    component_name="IntegrationHealth", examples=[OpenApiExample("A refused token", value=_EXAMPLE, response_only=True)]
)
class IntegrationHealthSerializer(serializers.Serializer[Any]):
    """How an integration stands, and its days, newest first."""

    state = serializers.ChoiceField(
        choices=HealthState.choices, help_text="What the last checks say; unhealthy while the breaker is not closed."
    )
    circuit = serializers.ChoiceField(choices=CircuitState.choices, help_text="The breaker.")
    since = serializers.DateTimeField(allow_null=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    consecutive_failures = serializers.IntegerField()
    last_checked_at = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.CharField(allow_blank=True, help_text="Of the last check, or else of the calls that opened the breaker.")
    not_measured = serializers.CharField(
        allow_blank=True, help_text="Why the last check said nothing about the service: a fault of the portal's own."
    )
    next_check_at = serializers.DateTimeField(allow_null=True, help_text="Null where it is not checked: inactive, or no check there.")
    targets = TargetsSerializer()
    checks = serializers.IntegerField(help_text="Scheduled checks over the days shown.")
    failures = serializers.IntegerField()
    unmeasured = serializers.IntegerField()
    availability = serializers.FloatField(allow_null=True)
    availability_met = serializers.BooleanField(allow_null=True)
    error_budget = ErrorBudgetSerializer(allow_null=True)
    days = HealthDaySerializer(many=True, help_text="Today first.")


class HealthActions(PortalViewSet[Integration]):
    """To be inherited by the viewset of integrations, which names `days` among its query parameters of `health`."""

    @extend_schema(
        parameters=[OpenApiParameter("days", {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DEFAULT_DAYS})],
        responses={200: IntegrationHealthSerializer},
    )
    @action(detail=True, methods=["get"])
    def health(self, request: Request, id: str) -> Response:
        """Answer how an integration stands, and its days against the SLA targets."""
        report = report_of(self.get_object(), _days(request.query_params.get("days", str(DEFAULT_DAYS))))
        return Response(IntegrationHealthSerializer(as_json(report)).data)


def as_json(report: Report) -> dict[str, Any]:
    """Return what the serializer shows of a report."""
    health, integration, budget, total = report.health, report.integration, report.budget, report.total
    return {
        "state": integration.shown_health,  # type: ignore[attr-defined]  # annotated
        "circuit": integration.circuit_state,  # type: ignore[attr-defined]  # annotated
        "since": report.since,
        "failing_since": health.failing_since,
        "consecutive_failures": health.consecutive_failures,
        "last_checked_at": health.last_checked_at,
        "last_success_at": health.last_success_at,
        "last_error": report.last_error,
        "not_measured": health.not_measured,
        "next_check_at": report.next_check_at,
        "targets": {"availability": integration.sla_availability, "response_ms": integration.sla_response_ms},
        "checks": total.checks,
        "failures": total.failures,
        "unmeasured": total.unmeasured,
        "availability": total.availability,
        "availability_met": total.available_enough(integration.sla_availability),
        "error_budget": {"allowed_failures": budget.allowed, "used": budget.failures, "left_percent": budget.left} if budget else None,
        "days": [_day(day, integration) for day in report.days],
    }


def _day(day: Day, integration: Integration) -> dict[str, Any]:
    return {
        "day": day.day,
        "checks": day.checks,
        "failures": day.failures,
        "unmeasured": day.unmeasured,
        "availability": day.availability,
        "p50_ms": day.p50_ms,
        "p95_ms": day.p95_ms,
        "p99_ms": day.p99_ms,
        "availability_met": day.available_enough(integration.sla_availability),
        "response_met": day.fast_enough(integration.sla_response_ms),
    }


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MOST_DAYS):
        raise InvalidInput.of("days", f"must be a whole number from 1 to {MOST_DAYS}.")
    return int(text)
