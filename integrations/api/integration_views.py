"""Integrations."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.owners import resolve_owner
from access.principals import principal
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.http import breaker
from integrations.api.call_serializers import (
    CheckReportSerializer,
    CircuitSerializer,
    EmptySerializer,
    QuotaSerializer,
    RequestLogSerializer,
    RotationSerializer,
)
from integrations.api.integration_filters import IntegrationFilter, RequestLogFilter
from integrations.api.integration_health import HealthActions
from integrations.api.integration_serializers import (
    IntegrationSerializer,
    RotateCredentialsSerializer,
    TestNewSerializer,
    TestSerializer,
)
from integrations.choices import Criticality, Environment
from integrations.models import Integration
from integrations.selectors.integrations import credentials_set, quota_of, requests_of, shown_integrations
from integrations.services import integrations as services
from integrations.services.circuits import reset_circuit
from integrations.services.integrations import IntegrationValues

# what a PUT leaves out becomes what a new integration would have; credentials and their expiry, category, status and owner stay
_DEFAULTS: dict[str, Any] = {
    "environment": Environment.PRODUCTION.value,
    "config": {},
    "metadata": {},
    "purpose": "",
    "exchanged_data": "",
    "criticality": Criticality.IMPORTANT.value,
    "sla_availability": None,
    "sla_response_ms": None,
    "quota_limit": None,
    "quota_window_seconds": 3600,
    "rate_per_minute": None,
    "breaker_failures": 5,
    "breaker_hold_seconds": 30,
    "timeout_seconds": 30,
    "stale_seconds": 0,
}


class IntegrationViewSet(
    HealthActions, ListRows[Integration], RetrieveRow[Integration], CreateRow[Integration], UpdateRow[Integration], DestroyRow[Integration]
):
    """Connections to other systems. Credentials are written and never shown."""

    scope_resource = "integrations"
    queryset = shown_integrations()
    serializer_class = IntegrationSerializer
    filterset_class = IntegrationFilter
    list_actions = {"requests": RequestLogFilter}
    query_parameters = {"health": frozenset({"days"})}
    # they call out, and no transaction may be open then; sent twice, a rotation finds that nothing is new
    not_idempotent = frozenset({"test", "test_new", "rotate_credentials"})

    def create_row(self, data: dict[str, Any]) -> Integration:
        """Create an integration for the owner named, else for the caller's own. Nothing is called: POST test does that."""
        return self._shown(services.create_integration(self._values(data, new=True)))

    def update_row(self, row: Integration, data: dict[str, Any]) -> Integration:
        """Change an integration. Another host, URL or kind of sign-in asks for the credentials again; type and owner stay."""
        whole = self.action == "update"
        return self._shown(services.update_integration(row, self._values((_DEFAULTS if whole else {}) | data), replace=whole))

    def delete_row(self, row: Integration) -> None:
        """Delete an integration; refused while webhooks send through it, or endpoints can be called."""
        services.delete_integration(row)

    @extend_schema(request=TestSerializer, responses={200: CheckReportSerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: str) -> Response:
        """Test the connection as it is stored, or with other values; a test that fails is answered 200 with `ok` false."""
        integration, values = self.get_object(), self.checked_data(TestSerializer)
        return self.answer(services.test_integration(integration, values or None), serializer_class=CheckReportSerializer)

    @extend_schema(operation_id="integrations_test_new_create", request=TestNewSerializer, responses={200: CheckReportSerializer})
    @action(detail=False, methods=["post"], url_path="test")
    def test_new(self, request: Request) -> Response:
        """Test an integration before it is created; nothing is stored but the log of the calls."""
        values = self._values(self.checked_data(TestNewSerializer), new=True)
        return self.answer(services.test_integration(None, values), serializer_class=CheckReportSerializer)

    @extend_schema(request=RotateCredentialsSerializer, responses={200: RotationSerializer})
    @action(detail=True, methods=["post"], url_path="rotate-credentials")
    def rotate_credentials(self, request: Request, id: str) -> Response:
        """Try new credentials and store them if they work; the old ones can be restored for a while. Otherwise 409, nothing changed."""
        integration, data = self.get_object(), self.checked_data(RotateCredentialsSerializer)
        rotation = services.rotate_credentials(integration, data["credentials"], data.get("overlap_hours"), force=data["force"])
        stored = credentials_set(self._shown(rotation.integration)) or {}
        shown = {
            "changed": list(rotation.changed),
            "tested": rotation.report is not None,
            "message": rotation.report.message if rotation.report else "",
            "previous_credentials_until": rotation.previous_until,
            "credentials": {name: {"set": present} for name, present in stored.items()},
        }
        return self.answer(shown, serializer_class=RotationSerializer)

    @extend_schema(request=EmptySerializer, responses={200: IntegrationSerializer})
    @action(detail=True, methods=["post"], url_path="restore-credentials")
    def restore_credentials(self, request: Request, id: str) -> Response:
        """Put the old credentials back while their overlap lasts; done again, it is undone."""
        self.checked_data(EmptySerializer)
        return self.answer(self._shown(services.restore_credentials(self.get_object())))

    @extend_schema(responses=RequestLogSerializer(many=True))
    @action(detail=True, methods=["get"])
    def requests(self, request: Request, id: str) -> Response:
        """List the calls of an integration, newest first, with what was refused before it was sent."""
        return self.page(requests_of(self.get_object().id), RequestLogSerializer)

    @extend_schema(responses={200: QuotaSerializer})
    @action(detail=True, methods=["get"])
    def quota(self, request: Request, id: str) -> Response:
        """Answer how much of its quota and rate the integration has used, and when they begin anew."""
        return self.answer(quota_of(self.get_object()), serializer_class=QuotaSerializer)

    @extend_schema(responses={200: CircuitSerializer})
    @action(detail=True, methods=["get"])
    def circuit(self, request: Request, id: str) -> Response:
        """Answer how the circuit breaker stands: open, it refuses calls until a probe goes through."""
        return self.answer(breaker.state(self.get_object().id), serializer_class=CircuitSerializer)

    @extend_schema(request=EmptySerializer, responses={200: CircuitSerializer})
    @action(detail=True, methods=["post"], url_path="circuit/reset")
    def reset_circuit(self, request: Request, id: str) -> Response:
        """Close the breaker at once, such as after the other side was repaired."""
        self.checked_data(EmptySerializer)
        return self.answer(reset_circuit(self.get_object()), serializer_class=CircuitSerializer)

    def _values(self, data: dict[str, Any], *, new: bool = False) -> IntegrationValues:
        who = principal(self.request)
        if "owner" in data:
            data["owner_id"] = resolve_owner(data.pop("owner"), who)
        elif new:
            data["owner_id"] = who.default_owner_id
        return cast("IntegrationValues", data)

    def _shown(self, row: Integration) -> Integration:
        return shown_integrations().get(id=row.id)
