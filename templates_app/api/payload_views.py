"""Payload templates: what webhooks send in place of the event."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any, cast

import django_filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer

from access.owners import resolve_owner
from access.principals import principal
from access.scopes import READ
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import InvalidInput, NotAllowed, NotFound
from core.event_types import MAX_NAME, catalogue
from templates_app.api.payload_serializers import (
    NewPayloadTemplateSerializer,
    NewVersionSerializer,
    PayloadTemplateSerializer,
    PreviewedSerializer,
    PreviewSerializer,
    RollbackSerializer,
    VariablesSerializer,
    VersionDiffSerializer,
    VersionSerializer,
)
from templates_app.choices import ContentType
from templates_app.models import PayloadTemplate
from templates_app.payloads import selectors, services
from templates_app.payloads.content import Parts
from templates_app.payloads.selectors import LIMITS, Preview
from templates_app.payloads.services import PayloadTemplateValues, VersionValues
from templates_app.payloads.variables import variables
from templates_app.rendering.filters import FILTERS

DEFAULT_TYPE = "finding.opened"
_CONTENT = ("body", "headers", "url_path", "url_query", "note")
_DEFAULTS: dict[str, Any] = {"description": "", "events": ["*"]}
_NUMBER = re.compile("[0-9]{1,9}", re.ASCII)
_DIFF = (
    OpenApiParameter("number", int, OpenApiParameter.PATH, description="The version."),
    OpenApiParameter("from", int, description="The other version; default the one before."),
)


class PayloadTemplateFilter(django_filters.FilterSet):
    """By the connector that it is for."""

    platform = django_filters.CharFilter(max_length=40)

    class Meta:
        model = PayloadTemplate
        fields: list[str] = []


class PayloadTemplateViewSet(
    ListRows[PayloadTemplate],
    RetrieveRow[PayloadTemplate],
    CreateRow[PayloadTemplate],
    UpdateRow[PayloadTemplate],
    DestroyRow[PayloadTemplate],
):
    """What webhooks send in place of the event. Versions never change; a new one, or a rollback, is sent from then on."""

    scope_resource = "templates"
    queryset = selectors.payload_templates()
    serializer_class = PayloadTemplateSerializer
    created_serializer_class = PayloadTemplateSerializer
    filterset_class = PayloadTemplateFilter
    list_actions = {"versions": None}
    query_parameters = {"diff": frozenset({"from"}), "variables": frozenset({"event_type"})}

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """Take the content with a new template only."""
        return NewPayloadTemplateSerializer if self.action == "create" else PayloadTemplateSerializer

    def create_row(self, data: dict[str, Any]) -> PayloadTemplate:
        """Create a template with its first version, for the owner named, else for the caller's own."""
        who = principal(self.request)
        version = VersionValues(**{name: data.pop(name) for name in _CONTENT if name in data})
        data["owner_id"] = resolve_owner(data.pop("owner"), who) if "owner" in data else who.default_owner_id
        return self._shown(services.create_template(cast("PayloadTemplateValues", data), version))

    def update_row(self, row: PayloadTemplate, data: dict[str, Any]) -> PayloadTemplate:
        """Change name, description and event types; the content changes by new versions."""
        if "owner" in data:
            data["owner_id"] = resolve_owner(data.pop("owner"), principal(self.request))
        if self.action == "update":
            data = _DEFAULTS | data
        return self._shown(services.update_template(row, cast("PayloadTemplateValues", data)))

    def delete_row(self, row: PayloadTemplate) -> None:
        """Delete a template with its versions; refused while webhooks use it."""
        services.delete_template(row)

    @extend_schema(methods=["GET"], responses={200: VersionSerializer(many=True)})
    @extend_schema(methods=["POST"], request=NewVersionSerializer, responses={200: VersionSerializer, 201: VersionSerializer})
    @action(detail=True, methods=["get", "post"])
    def versions(self, request: Request, id: str) -> Response:
        """List the versions, newest first; or add one, which is active from then on (200: the active one is the same already)."""
        template = self.get_object()
        if request.method != "POST":
            return self.page(selectors.versions(template), VersionSerializer)
        version = VersionValues(**self.checked_data(NewVersionSerializer))
        added, is_new = services.add_version(template, version)
        return self.answer(added, status.HTTP_201_CREATED if is_new else status.HTTP_200_OK, VersionSerializer)

    @extend_schema(parameters=[*_DIFF], responses={200: VersionDiffSerializer})
    @action(detail=True, methods=["get"], url_path="versions/<str:number>/diff")
    def diff(self, request: Request, id: str, number: str) -> Response:
        """Answer what changed from one version to another."""
        template = self.get_object()
        if not _NUMBER.fullmatch(number):
            raise NotFound(f"{number[:20]!r} is no number of a version.")
        given = request.query_params.get("from", str(max(1, int(number) - 1)))
        if not _NUMBER.fullmatch(given):
            raise InvalidInput.of("from", "must be the number of a version.")
        older, newer = selectors.version(template, int(given)), selectors.version(template, int(number))
        return Response({"from": older.number, "to": newer.number, "diff": selectors.diff(older, newer)})

    @extend_schema(request=RollbackSerializer, responses={200: PayloadTemplateSerializer})
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, id: str) -> Response:
        """Make another version the active one: it is sent from now on."""
        template, values = self.get_object(), self.checked_data(RollbackSerializer)
        row = services.roll_back(template, values["version"])
        return self.answer(self._shown(row), serializer_class=PayloadTemplateSerializer)

    @extend_schema(request=PreviewSerializer, responses={200: PreviewedSerializer})
    @action(detail=False, methods=["post"], url_path="preview")
    def preview(self, request: Request) -> Response:
        """Answer what a template would send of an event; nothing is stored, and problems are told rather than refused."""
        data = self.checked_data(PreviewSerializer)
        return self._previewed(data, data.get("platform", ""), data.get("content_type", ContentType.JSON), data.get("events", []))

    @extend_schema(operation_id="payload_templates_preview_of", request=PreviewSerializer, responses={200: PreviewedSerializer})
    @action(detail=True, methods=["post"], url_path="preview")
    def preview_of(self, request: Request, id: str) -> Response:
        """Answer what another content of this template would send of an event, checked with all that it is meant for."""
        template, data = self.get_object(), self.checked_data(PreviewSerializer)
        return self._previewed(data, template.platform, template.content_type, template.events)

    @extend_schema(
        parameters=[OpenApiParameter("event_type", str, description=f"Default {DEFAULT_TYPE}.")], responses={200: VariablesSerializer}
    )
    @action(detail=False, methods=["get"])
    def variables(self, request: Request) -> Response:
        """Answer what templates can name for events of a type, with examples, and the filters and limits there are."""
        name = request.query_params.get("event_type", DEFAULT_TYPE)
        found = catalogue.types.get(name) or catalogue.find(name)
        if found is None:
            sentence = f"{name[:MAX_NAME]!r} is not a known event type; GET /api/v1/event-types lists them."
            raise InvalidInput.of("event_type", sentence, code="unknown_event_type")
        shown = [asdict(variable) for variable in variables(found)]
        return Response({"event_type": found.name, "variables": shown, "filters": sorted(FILTERS), "limits": LIMITS})

    def _previewed(self, data: dict[str, Any], platform: str, content_type: str, events: list[str]) -> Response:
        who = principal(self.request)
        if "event_id" in data and f"events:{READ}" not in who.scopes:
            raise NotAllowed(f"event_id: this key needs the scope events:{READ} as well.")
        event = selectors.event_for_preview(who, event_id=data.get("event_id"), event_type=data.get("event_type", DEFAULT_TYPE))
        parts = Parts(content_type, data["body"], data.get("headers", {}), data.get("url_path", ""), data.get("url_query", {}))
        return Response(_as_json(selectors.preview(parts, event, platform=platform, events=events), content_type, data.get("url", "")))

    def _shown(self, row: PayloadTemplate) -> PayloadTemplate:
        return selectors.payload_templates().get(id=row.id)


def _as_json(preview: Preview, content_type: str, url: str) -> dict[str, Any]:
    rendered, problems = preview.rendered, list(preview.problems)
    address: str | None = None
    if rendered is not None:
        try:
            address = rendered.address(url) if url else _added(rendered.path, rendered.query)
        except InvalidInput as error:
            problems.append(error.message)
    return {
        "body": None if rendered is None else rendered.body.decode(),
        "content_type": content_type,
        "headers": {} if rendered is None else dict(rendered.headers),
        "url": address,
        "size": 0 if rendered is None else len(rendered.body),
        "event": {"id": str(preview.event.id), "type": preview.event.type},
        "problems": problems,
        "refused_output": None if preview.refused is None else asdict(preview.refused),
        "warnings": preview.warnings,
        "used": {"steps": preview.steps, "loop_turns": preview.loop_turns},
        "limits": LIMITS,
    }


def _added(path: str, query: str) -> str:
    """Return what is added to whatever URL the webhook has."""
    return "…" + (f"/{path.lstrip('/')}" if path else "") + (f"?{query}" if query else "")
