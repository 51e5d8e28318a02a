"""GET /api/schema: the OpenAPI document, as JSON unless YAML is asked for."""

from __future__ import annotations

from typing import Any

from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2
from drf_spectacular.views import SpectacularAPIView
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response


class SchemaView(SpectacularAPIView):
    """Open to anybody. `Accept: application/yaml` or `?format=yaml` asks for YAML; errors are JSON like everywhere in the API."""

    # the first one answers those who take anything
    renderer_classes = [OpenApiJsonRenderer2, OpenApiJsonRenderer, OpenApiYamlRenderer2, OpenApiYamlRenderer]

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        """Render errors as the API does, whatever was asked for."""
        answer: Response = super().finalize_response(request, response, *args, **kwargs)
        if answer.exception:
            answer.accepted_renderer, answer.accepted_media_type = JSONRenderer(), "application/json"
        return answer
