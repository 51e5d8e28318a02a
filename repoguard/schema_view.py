"""GET /api/schema: the OpenAPI document, as JSON unless YAML is asked for."""

from __future__ import annotations

from typing import Any

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_200_OK

from access.principals import principal
from integrations.gateway.openapi import paths_for


class SchemaView(SpectacularAPIView):
    """Open to anybody; those who sign in also find the endpoints that they may call.

    `Accept: application/yaml` or `?format=yaml` asks for YAML; errors are JSON like everywhere in the API.
    """

    # the first one answers those who take anything
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Render errors as the API does, whatever was asked for."""
        if response.status_code == HTTP_200_OK and request.user.is_authenticated and isinstance(response.data, dict):
            response.data["paths"] = {**response.data["paths"], **paths_for(principal(request))}
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        if answer.exception:
            answer.accepted_renderer, answer.accepted_media_type = JSONRenderer(), "application/json"
        return answer
