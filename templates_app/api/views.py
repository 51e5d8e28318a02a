"""Integration templates."""

from __future__ import annotations

from typing import Any, cast

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from rest_framework.response import Response

from access.owners import resolve_owner
from access.principals import principal
from core.api.filters import StrictFilterBackend
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from templates_app import services
from templates_app.api.serializers import DocumentSerializer, ImportSerializer, TemplateSerializer
from templates_app.models import IntegrationTemplate
from templates_app.selectors import all_templates, usable
from templates_app.services import TemplateValues

_DEFAULTS: dict[str, Any] = {"description": "", "endpoints": [], "webhooks": [], "is_public": False}


class UsableTemplates(BaseFilterBackend):
    """Limits every list and every single template to public ones and the caller's own."""

    scopes_rows = True

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return the templates that the caller sees."""
        return usable(queryset, principal(request))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return nothing: it takes no parameters."""
        return []


class TemplateFilter(django_filters.FilterSet):
    """By connector or key, and whether it ships with the portal or is public."""

    key = django_filters.CharFilter(max_length=60, label="Of a built-in one, such as slack-channel.")
    type = django_filters.CharFilter(max_length=40)
    is_public = django_filters.BooleanFilter()
    built_in = django_filters.BooleanFilter(field_name="key", lookup_expr="isnull", exclude=True)

    class Meta:
        model = IntegrationTemplate
        fields: list[str] = []


class TemplateViewSet(
    ListRows[IntegrationTemplate],
    RetrieveRow[IntegrationTemplate],
    CreateRow[IntegrationTemplate],
    UpdateRow[IntegrationTemplate],
    DestroyRow[IntegrationTemplate],
):
    """Blueprints from which integrations with endpoints and webhooks are made."""

    scope_resource = "templates"
    queryset = all_templates()
    serializer_class = TemplateSerializer
    filterset_class = TemplateFilter
    filter_backends = [UsableTemplates, StrictFilterBackend]

    def create_row(self, data: dict[str, Any]) -> IntegrationTemplate:
        """Create a template for the owner named, else for the caller's own."""
        return self._shown(services.create_template(self._values(data, new=True)))

    def update_row(self, row: IntegrationTemplate, data: dict[str, Any]) -> IntegrationTemplate:
        """Change a template of one's own and raise its version; what was made of it stays."""
        self._require_own(row)
        if self.action == "update":
            data = _DEFAULTS | data
        return self._shown(services.update_template(row, self._values(data)))

    def delete_row(self, row: IntegrationTemplate) -> None:
        """Delete a template of one's own; what was made of it stays."""
        self._require_own(row)
        services.delete_template(row)

    @extend_schema(responses={200: DocumentSerializer})
    @action(detail=True, methods=["get"])
    def export(self, request: Request, id: str) -> Response:
        """Answer the template as a document to be imported elsewhere: without owner, id and, as ever, without secrets."""
        return Response(services.export_template(self.get_object()))

    @extend_schema(request=ImportSerializer, responses={200: TemplateSerializer, 201: TemplateSerializer})
    @action(detail=False, methods=["post"], url_path="import")
    def import_(self, request: Request) -> Response:
        """Store an exported template for the caller; the same key and version again is answered 200, and changes nothing."""
        data = self.checked_data(ImportSerializer)
        owner_id = self._owner(data)
        template, written = services.import_template(dict(data), owner_id)
        return self.answer(self._shown(template), status.HTTP_201_CREATED if written else status.HTTP_200_OK)

    def _require_own(self, row: IntegrationTemplate) -> None:
        services.require_changeable(row, principal(self.request).owns(row.owner_id))

    def _values(self, data: dict[str, Any], *, new: bool = False) -> TemplateValues:
        if new or "owner" in data:
            data["owner_id"] = self._owner(data)
        return cast("TemplateValues", data)

    def _owner(self, data: dict[str, Any]) -> Any:
        who = principal(self.request)
        return resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id

    def _shown(self, row: IntegrationTemplate) -> IntegrationTemplate:
        return all_templates().get(id=row.id)
