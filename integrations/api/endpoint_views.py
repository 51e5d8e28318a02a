"""Named endpoints of integrations, and calls through them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from core.api.viewsets import PortalViewSet
from core.errors import NotAllowed
from integrations.api.endpoint_serializers import (
    EndpointCallSerializer,
    EndpointSerializer,
    FreeCallSerializer,
    GatewayAnswerSerializer,
    OpenApiSerializer,
)
from integrations.gateway import endpoints as services
from integrations.gateway.call import FreeCall, call_endpoint, call_freely
from integrations.gateway.openapi import document, needed_scope
from integrations.models import Endpoint, Integration

_NAME = OpenApiParameter("name", str, OpenApiParameter.PATH, description="Name of the endpoint.")
MOST_DOCUMENTED = 1000


class GatewayViewSet(PortalViewSet[Integration]):
    """The gateway of one integration: its endpoints, and calls."""

    scope_resource = "integrations"
    # a GET endpoint only reads; what else it needs is known when the endpoint is
    scope_verbs = {"call": "read"}
    queryset = Integration.objects.all()
    serializer_class = EndpointSerializer  # type: ignore[assignment]  # the rows that are scoped are integrations
    list_actions = {"endpoints": None}
    # they call out, and no transaction may be open then
    not_idempotent = frozenset({"call", "call_freely"})

    @extend_schema(operation_id="integrations_endpoints_list", responses=EndpointSerializer(many=True))
    def endpoints(self, request: Request, id: str) -> Response:
        """List the endpoints of an integration, newest first."""
        return self.page(services.endpoints_of(self.get_object()))

    @extend_schema(operation_id="integrations_endpoints_create", responses={201: EndpointSerializer})
    def create_endpoint(self, request: Request, id: str) -> Response:
        """Make an endpoint."""
        endpoint = services.create_endpoint(self.get_object(), services.EndpointValues(**self.checked_data()))  # type: ignore[typeddict-item]
        return self.answer(endpoint, status.HTTP_201_CREATED)

    @extend_schema(operation_id="integrations_endpoints_retrieve", parameters=[_NAME])
    def retrieve_endpoint(self, request: Request, id: str, name: str) -> Response:
        """Answer one endpoint."""
        return self.answer(self._endpoint())

    @extend_schema(operation_id="integrations_endpoints_update", parameters=[_NAME])
    def update_endpoint(self, request: Request, id: str, name: str) -> Response:
        """Replace an endpoint; fields left out take their defaults."""
        return self._update(partial=False)

    @extend_schema(operation_id="integrations_endpoints_partial_update", parameters=[_NAME])
    def change_endpoint(self, request: Request, id: str, name: str) -> Response:
        """Change the fields that are sent."""
        return self._update(partial=True)

    @extend_schema(operation_id="integrations_endpoints_destroy", parameters=[_NAME], responses={204: None})
    def delete_endpoint(self, request: Request, id: str, name: str) -> Response:
        """Delete an endpoint."""
        services.delete_endpoint(self._endpoint())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        operation_id="integrations_endpoints_call",
        parameters=[_NAME],
        request=EndpointCallSerializer,
        responses={200: GatewayAnswerSerializer},
    )
    def call(self, request: Request, id: str, name: str) -> Response:
        """Call the service by a named endpoint, with the integration's credentials, limits, cache and log.

        A GET endpoint needs `integrations:read`, any other `integrations:write`; the scope that the endpoint names comes on top.
        """
        endpoint = self._endpoint()
        self._require(needed_scope(endpoint), endpoint.scope)
        data = self.checked_data(EndpointCallSerializer)
        answer = call_endpoint(endpoint, data.get("parameters", {}), data.get("body"))
        return self.answer(answer, serializer_class=GatewayAnswerSerializer)

    @extend_schema(operation_id="integrations_call", request=FreeCallSerializer, responses={200: GatewayAnswerSerializer})
    def call_freely(self, request: Request, id: str) -> Response:
        """Call any path below the integration's address, also by GET: for whoever may change the integration."""
        integration = self.get_object()
        data = self.checked_data(FreeCallSerializer)
        free = FreeCall(data["method"], data["path"], data.get("query", {}), data.get("headers", {}), data.get("body"))
        return self.answer(call_freely(integration, free), serializer_class=GatewayAnswerSerializer)

    @extend_schema(operation_id="integrations_openapi", responses={200: OpenApiSerializer})
    def openapi(self, request: Request, id: str) -> Response:
        """Answer an OpenAPI 3.1 document of the integration's endpoints, for the tools of those who call them."""
        integration = self.get_object()
        return Response(document(integration, services.endpoints_of(integration).order_by("name")[:MOST_DOCUMENTED]))

    def _endpoint(self) -> Endpoint:
        integration, name = self.get_object(), self.kwargs["name"]
        endpoint = services.endpoints_of(integration).filter(name=name).first() if services.is_name(name) else None
        if endpoint is None:
            raise NotFound
        endpoint.integration = integration
        return endpoint

    def _update(self, *, partial: bool) -> Response:
        endpoint = self._endpoint()
        serializer = EndpointSerializer(endpoint, data=self.request.data, partial=partial, context=self.get_serializer_context())
        serializer.is_valid(raise_exception=True)
        values = {**({} if partial else services.DEFAULTS), **serializer.validated_data}
        return self.answer(services.update_endpoint(endpoint, services.EndpointValues(**values)))  # type: ignore[typeddict-item]

    def _require(self, *scopes: str) -> None:
        who = principal(self.request)
        if not who.may_write:  # it reads what the portal has; a call uses credentials and quota
            raise NotAllowed(f"The role {who.role} only reads; calls through the gateway are not for it.")
        for scope in scopes:
            if scope and scope not in who.scopes:
                raise NotAllowed(f"This endpoint needs the scope {scope}, which {'this key' if who.kind == 'key' else 'your role'} lacks.")


# below integrations/<id>/
ROUTES: dict[str, dict[str, Any]] = {
    "endpoints": {"get": "endpoints", "post": "create_endpoint"},
    "endpoints/<str:name>": {
        "get": "retrieve_endpoint",
        "put": "update_endpoint",
        "patch": "change_endpoint",
        "delete": "delete_endpoint",
        "post": "call",
    },
    "call": {"post": "call_freely"},
    "openapi": {"get": "openapi"},
}
