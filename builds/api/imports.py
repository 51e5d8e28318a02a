"""Imports of builds: started, looked at and cancelled."""

from __future__ import annotations

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from access.selectors import with_owner
from builds.api.import_serializers import EXAMPLE, BuildImportSerializer
from builds.choices import ImportKind, ImportStatus
from builds.importing.starting import cancel_import, import_csv
from builds.models import BuildImport
from builds.selectors import with_status
from core.api.serializers import NothingSerializer
from core.api.uploads import BodyCap, file_chunks
from core.api.viewsets import ListRows, RetrieveRow

_LINES = "tr_build_id,gh_project_name,tr_status,gh_build_started_at,tr_duration\n7,rails/rails,passed,2014-03-01 12:30:00,95\n"
_FORM = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}


class ImportFilter(django_filters.FilterSet):
    """By kind and by where they stand."""

    kind = django_filters.ChoiceFilter(choices=ImportKind.choices)
    status = django_filters.ChoiceFilter(choices=ImportStatus.choices, method="by_status")

    class Meta:
        model = BuildImport
        fields: list[str] = []

    def by_status(self, queryset: QuerySet[BuildImport], name: str, value: str) -> QuerySet[BuildImport]:
        """Apply `status`."""
        return with_status(queryset, value)


class BuildImportViewSet(ListRows[BuildImport], RetrieveRow[BuildImport]):
    """Builds that are read in bulk. Their events are not published: they are of the past."""

    scope_resource = "builds"
    queryset = with_owner(BuildImport.objects.all())
    serializer_class = BuildImportSerializer
    filterset_class = ImportFilter
    max_body_bytes: ClassVar[Any] = BodyCap("BUILDS_CSV_MAX_BYTES")
    body_limit_setting = "BUILDS_CSV_MAX_BYTES"
    # the body is streamed, and never held whole to be compared; a file that is sent twice stores its builds once
    not_idempotent = frozenset({"csv"})

    @extend_schema(
        request={"text/csv": {"type": "string"}, "multipart/form-data": _FORM},
        examples=[
            OpenApiExample("A file's first lines", value=_LINES, request_only=True, media_type="text/csv"),
            OpenApiExample("A form", value={"file": _LINES}, request_only=True, media_type="multipart/form-data"),
            OpenApiExample("Taken in", value=EXAMPLE, response_only=True),
        ],
        responses={202: BuildImportSerializer},
    )
    @action(detail=False, methods=["post"])
    def csv(self, request: Request) -> Response:
        """Import a TravisTorrent CSV file, plain or gzip, as the body or as the part `file` of a form.

        It is stored and read by a worker, bad rows are listed and left out. Builds of projects that are no known repository belong
        to the caller. Larger files than BUILDS_CSV_MAX_BYTES (unpacked, too) are a 413.
        """
        row = import_csv(file_chunks(request._request, "text/csv"), principal(request).default_owner_id)
        return self.answer(row, status.HTTP_202_ACCEPTED)

    @extend_schema(request=NothingSerializer, responses={200: BuildImportSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """End it for good; it takes seconds. What it stored stays."""
        self.checked_data(NothingSerializer)
        return self.answer(cancel_import(self.get_object()))
