"""Scans: reports uploaded, asked for, listed and looked at."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from core.api.serializers import NothingSerializer
from core.api.uploads import BodyCap, file_chunks
from core.api.viewsets import ListRows, RetrieveRow
from core.errors import InvalidInput
from integrations.models import Repository
from integrations.selectors.sources import scanning_integrations_by_id
from scans.api.filters import ScanFilter
from scans.api.naming import named_repository
from scans.api.scan_serializers import SCAN, QueuedScanSerializer, ScanRequestSerializer, ScanSerializer, StartedScanSerializer
from scans.models import Scan
from scans.selectors import shown_scans
from scans.services.queueing import Reused
from scans.services.requesting import Request as ScanRequest
from scans.services.requesting import cancel_scan, request_scan
from scans.services.starting import UploadedAbout, upload_report

_PARAMETERS = ("repository", "ref", "commit", "category", "report_format", "complete")
_FORM = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}, "required": ["file"]}
_REPORT = {"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "semgrep"}}, "results": []}]}
_HELP = {
    "repository": "Id or full name (owner/name) of the repository.",
    "ref": "Branch or ref that was scanned; the default branch when left out.",
    "commit": "SHA of the commit that was scanned; the gate is asked for by it.",
    "category": "Tells reports of one tool about one commit apart, such as that of each subproject.",
    "report_format": "Key of the report's format; detected when left out.",
    "complete": "false when the report has not all that its tool has to say: then what it lacks is not fixed.",
}


class ScanViewSet(ListRows[Scan], RetrieveRow[Scan]):
    """Reports of scanners. What they say becomes findings."""

    scope_resource = "scans"
    owner_path = "repository__owner_id"
    queryset = shown_scans()
    serializer_class = ScanSerializer
    filterset_class = ScanFilter
    max_body_bytes: ClassVar[Any] = BodyCap("SCAN_MAX_BYTES")
    body_limit_setting = "SCAN_MAX_BYTES"
    query_parameters: ClassVar[Any] = {"upload": frozenset(_PARAMETERS)}
    # the body is streamed, and never held whole to be compared; a report that is sent twice changes nothing the second time
    not_idempotent = frozenset({"upload"})

    @extend_schema(
        parameters=[OpenApiParameter(name, str, required=name == "repository", description=_HELP[name]) for name in _PARAMETERS],
        request={"application/json": {"type": "object"}, "multipart/form-data": _FORM},
        examples=[
            OpenApiExample("A report without findings", value=_REPORT, request_only=True, media_type="application/json"),
            OpenApiExample("A form", value={"file": "{…}"}, request_only=True, media_type="multipart/form-data"),
            OpenApiExample("Taken in", value={"id": SCAN["id"], "status": "queued"}, response_only=True),
        ],
        responses={202: QueuedScanSerializer},
    )
    @action(detail=False, methods=["post"])
    def upload(self, request: Request) -> Response:
        """Take a report in, as the body (plain or gzip) or as the part `file` of a form; a worker reads it.

        SARIF 2.1.0 of any tool and the JSON of common scanners are recognised. A report whose parts can't all be used is stored as
        far as it is sound, ends as `partial` and closes nothing. Larger ones than SCAN_MAX_BYTES (unpacked, too) are a 413.
        """
        given = request.query_params
        about = UploadedAbout(
            repository=self._repository(given.get("repository", "")),
            ref=given.get("ref", ""),
            commit=given.get("commit", ""),
            category=given.get("category", ""),
            format=given.get("report_format", ""),
            complete=_flag("complete", given.get("complete", "true")),
        )
        scan = upload_report(about, file_chunks(request._request, "application/json", any_type=True))
        return self.answer(scan, status.HTTP_202_ACCEPTED, QueuedScanSerializer)

    @extend_schema(request=ScanRequestSerializer, responses={200: StartedScanSerializer, 202: StartedScanSerializer})
    def create(self, request: Request) -> Response:
        """Have an integration scan a repository: 202 with the scan, which a worker does.

        Of an integration, a repository and a ref one scan waits at most: that answers, and takes the commit. A scan of the very commit
        that is under way answers as well; one that completed within SCAN_REUSE_SECONDS is a 200. `reused` says which it is.
        """
        data = self.checked_data(ScanRequestSerializer)
        integration = scanning_integrations_by_id([data["integration"]], principal(request)).get(data["integration"])
        if integration is None:
            sentence = "is no integration with findings that you can see; GET /api/v1/integrations lists them."
            raise InvalidInput.of("integration", sentence, code="unknown_integration")
        wanted = {name: data[name] for name in ("ref", "commit", "full") if name in data}
        queued = request_scan(ScanRequest(self._repository(data["repository"]), integration, **wanted))
        scan = shown_scans().get(pk=queued.scan.pk)
        scan.reused = queued.reused.value  # type: ignore[attr-defined]
        code = status.HTTP_200_OK if queued.reused == Reused.COMPLETED else status.HTTP_202_ACCEPTED
        return self.answer(scan, code, StartedScanSerializer)

    @extend_schema(request=NothingSerializer, responses={200: ScanSerializer})
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, id: str) -> Response:
        """End a scan that waits, for its turn or for another try. One that is being worked on or has ended is a 409."""
        self.checked_data(NothingSerializer)
        return self.answer(cancel_scan(self.get_object()))

    def _repository(self, reference: str) -> Repository:
        return named_repository(self.request, reference)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidInput.of(name, "must be true or false.")
    return text == "true"
