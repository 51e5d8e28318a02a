"""Reports of a repository's findings, as files."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request

from core.api.serializers import ErrorSerializer
from core.api.viewsets import PortalViewSet
from core.errors import InvalidInput
from integrations.models import Repository
from integrations.selectors.repositories import all_repositories
from scans.api.serializers import FINDING, SummarySerializer
from scans.choices import TRIAGES, Kind, Severity
from scans.reports.answering import ReportFormat, report
from scans.reports.csv_lines import HEADER
from scans.reports.scope import PARAMETERS, Shown, parse

ROUTES: dict[str, dict[str, Any]] = {"report": {"get": "report"}}
_ABOUT = [
    OpenApiParameter("report_format", str, enum=ReportFormat.values, default=ReportFormat.JSON.value),
    OpenApiParameter("ref", str, description="Branch or ref; the default branch when left out."),
    OpenApiParameter("state", str, enum=Shown.values, default=Shown.OPEN.value, description="Those there now, those fixed since, or both."),
    OpenApiParameter("min_severity", str, enum=Severity.values, description="This severity or worse."),
    OpenApiParameter("kind", str, enum=Kind.values),
    OpenApiParameter("triage", str, enum=[value for value, _ in TRIAGES], description="What people decided."),
    OpenApiParameter("suppressed", bool, description="Left out by its scanners' own settings."),
    OpenApiParameter(
        "since", OpenApiTypes.DATE, description="New and fixed ones are counted from this day on; the last 30 days when left out."
    ),
]
_LINES = f"{','.join(HEADER[:4])},…\r\n0192f0c1-2b3c-7d4e-8f50-61728394a5b6,high,SQL injection,code,…\r\n"
_JSON = {
    "report": {"ref": "main", "made_at": "2026-11-20T12:05:02Z", "gate": None, "by_severity": {"high": {"open": 1, "new": 1}}, "total": 1},
    "findings": [{**FINDING, "age_days": 3, "sla_due": "2026-12-20", "sla_overdue": False, "decision": None}],
}


def _file(media_type: str, said: str, example: Any = "…", as_type: Any = OpenApiTypes.STR) -> dict[tuple[int, str], OpenApiResponse]:
    return {(200, media_type): OpenApiResponse(as_type, said, [OpenApiExample("The file", value=example, media_type=media_type)])}


class ReportViewSet(PortalViewSet[Repository]):
    """The findings of a repository as a file to keep, print, or feed to another tool."""

    scope_resource = "findings"
    queryset = all_repositories()
    serializer_class = SummarySerializer
    query_parameters: ClassVar[Any] = {"report": frozenset({"report_format", *PARAMETERS})}

    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """Take any Accept header: the format is chosen by its parameter."""
        return super().perform_content_negotiation(request, force=True)

    @extend_schema(
        parameters=_ABOUT,
        responses={
            **_file("application/json", "Every finding.", _JSON, OpenApiTypes.OBJECT),
            **_file("text/csv", "Every finding, one a line.", _LINES),
            **_file("text/html", "One page that needs nothing else."),
            **_file("application/pdf", "To print or send.", "%PDF…", OpenApiTypes.BINARY),
            **_file("application/sarif+json", "SARIF 2.1.0.", {"version": "2.1.0", "runs": []}, OpenApiTypes.OBJECT),
            **_file(
                "application/vnd.cyclonedx+json", "CycloneDX 1.6.", {"bomFormat": "CycloneDX", "specVersion": "1.6"}, OpenApiTypes.OBJECT
            ),
            503: OpenApiResponse(ErrorSerializer, "Other reports are being made; ask again after `Retry-After`."),
        },
    )
    def report(self, request: Request, id: str) -> StreamingHttpResponse:
        """Download the findings of one ref, the scans they rest on, the gate and what people decided, as one file.

        JSON and CSV hold every finding; documents for people hold the worst ones, and say how many more there are.
        """
        repository = self.get_object()
        given = request.query_params
        format = given.get("report_format", ReportFormat.JSON.value)
        if format not in ReportFormat.values:
            raise InvalidInput.of("report_format", f"must be one of {', '.join(ReportFormat.values)}.")
        return report(parse(repository, given), format)
