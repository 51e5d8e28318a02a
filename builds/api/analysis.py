"""Analyses: started by `POST analyze`, looked at here."""

from __future__ import annotations

from typing import Any, cast

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from builds.analysis.selectors import analyses, finished
from builds.analysis.start import AnalyzeValues, start_analysis
from builds.analysis.table import HEADER, lines
from builds.api.analysis_serializers import AnalysisSerializer, AnalyzeSerializer
from builds.models import Analysis
from core.api.serializers import ErrorSerializer
from core.api.viewsets import PortalViewSet, RetrieveRow
from core.errors import InvalidInput, NotFound
from core.ids import is_uuid

_CSV = f"{','.join(HEADER)}\r\nsummary,,,,2026-11-01T00:00:00+00:00 2026-12-01T00:00:00+00:00,success_rate,0.930435\r\n"


class AnalyzeViewSet(PortalViewSet[Analysis]):
    """Starting an analysis."""

    scope_resource = "builds"
    queryset = analyses()
    serializer_class = AnalyzeSerializer

    @extend_schema(request=AnalyzeSerializer, responses={202: AnalysisSerializer})
    def create(self, request: Request) -> Response:
        """Have builds analysed by a worker; look at `analysis?id=` until its status is done.

        Only builds that the caller sees count. The event `analysis.completed` says when it is ready.
        """
        values = cast("AnalyzeValues", self.checked_data())
        return self.answer(start_analysis(values, principal(request)), status.HTTP_202_ACCEPTED, AnalysisSerializer)


class AnalysisViewSet(RetrieveRow[Analysis]):
    """Analyses and their results."""

    scope_resource = "builds"
    queryset = analyses()
    serializer_class = AnalysisSerializer
    query_parameters = {"latest": frozenset({"id", "project"})}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Take any Accept header for the CSV, which no renderer makes."""
        return super().perform_content_negotiation(request, force=force or self.action == "csv")

    @extend_schema(
        operation_id="analysis_latest",
        parameters=[
            OpenApiParameter("id", OpenApiTypes.UUID, description="This analysis."),
            OpenApiParameter("project", {"type": "string", "minLength": 1}, description="The latest of this project."),
        ],
        responses={200: AnalysisSerializer, 404: OpenApiResponse(ErrorSerializer, "None was started yet, or none that the caller sees.")},
    )
    def latest(self, request: Request) -> Response:
        """Answer the latest analysis that the caller sees, finished or not; a 404 where there is none."""
        rows = self.scoped(self.get_queryset())
        wanted, project = request.query_params.get("id"), request.query_params.get("project")
        if wanted is not None:
            if not is_uuid(wanted):
                raise InvalidInput.of("id", "must be the id of an analysis, as POST analyze answered it.")
            rows = rows.filter(id=wanted)
        if project is not None:
            rows = rows.filter(project=project)
        found = rows.order_by("-id").first()
        if found is None:
            raise NotFound("There is no such analysis. Start one by POST /api/v1/analyze.")
        return self.answer(found)

    @extend_schema(
        responses={
            409: OpenApiResponse(ErrorSerializer, "It isn't finished yet, or it failed."),
            (200, "text/csv"): OpenApiResponse(
                OpenApiTypes.STR, "The measures, one a line.", [OpenApiExample("The first lines", value=_CSV, media_type="text/csv")]
            ),
        }
    )
    @action(detail=True, methods=["get"])
    def csv(self, request: Request, id: str) -> StreamingHttpResponse:
        """Download the result as CSV; a 409 until it is done."""
        return csv_response(self.get_object())


def csv_response(analysis: Analysis) -> StreamingHttpResponse:
    """Return the result of an analysis as a file; raises Conflict while there is none."""
    answer = StreamingHttpResponse(lines(finished(analysis)), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="analysis-{analysis.pk}.csv"'
    return answer
