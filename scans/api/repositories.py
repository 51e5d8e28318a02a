"""What a repository's scans say: counts of its findings, and its gate."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from core import context
from core.api.viewsets import PortalViewSet
from core.errors import InvalidInput, Unavailable
from integrations.models import Repository
from integrations.selectors.repositories import all_repositories
from scans.api.serializers import GateSerializer, SummarySerializer, TrendSerializer
from scans.models import GateResult
from scans.selectors import gate_of, gate_of_branch, summary
from scans.trend import LONGEST_DAYS, trend

ROUTES: dict[str, dict[str, Any]] = {
    "findings/summary": {"get": "findings_summary"},
    "findings/trend": {"get": "findings_trend"},
    "gate": {"get": "gate"},
}
_RETRY_SECONDS = 5.0


class RepositoryScansViewSet(PortalViewSet[Repository]):
    """Views of a repository that belong to its scans."""

    scope_resource = "findings"
    queryset = all_repositories()
    query_parameters: ClassVar[Any] = {
        "findings_summary": frozenset({"ref"}),
        "findings_trend": frozenset({"days"}),
        "gate": frozenset({"commit"}),
    }

    @extend_schema(
        parameters=[OpenApiParameter("ref", str, description="Branch or ref; the default branch when left out.")],
        responses={200: SummarySerializer},
    )
    def findings_summary(self, request: Request, id: str) -> Response:
        """Count the findings that are open, without suppressed and triaged ones."""
        repository = self.get_object()
        ref = request.query_params.get("ref", "") or repository.default_branch
        counts = summary(repository, ref)
        return self.answer({"total": sum(counts.values()), "by_severity": counts, "ref": ref}, serializer_class=SummarySerializer)

    @extend_schema(
        parameters=[
            OpenApiParameter("days", int, description=f"How many days back, today included; 90 when left out, {LONGEST_DAYS} at most.")
        ],
        responses={200: TrendSerializer},
    )
    def findings_trend(self, request: Request, id: str) -> Response:
        """Count the findings that were open on each day (UTC) on the default branch, as written down then; today's as it is now."""
        repository = self.get_object()
        points = trend(Repository.objects.filter(id=repository.id), _days(request.query_params.get("days", "90")))
        rows = [{"day": point.day, "total": point.total, "by_severity": point.by_severity} for point in points]
        return self.answer({"points": rows}, serializer_class=TrendSerializer)

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "commit", str, description="SHA of the commit, as its scans were uploaded with; left out: the default branch as it is."
            )
        ],
        responses={200: GateSerializer},
    )
    def gate(self, request: Request, id: str) -> Response:
        """Answer what the policy says of a commit, or without one of the default branch as it was decided last.

        200 it passed, 409 it failed, 503 a scan of the commit goes on, 404 no scan is about it. So `curl --fail --retry 20` waits for the
        scan, and fails for anything but a gate that passed.
        """
        repository = self.get_object()
        commit = request.query_params.get("commit", "").lower()
        result, going_on = gate_of(repository, commit) if commit else (gate_of_branch(repository), False)
        if going_on:
            raise Unavailable("A scan of this commit is going on; ask again shortly.", code="scan_running", retry_after=_RETRY_SECONDS)
        if result is None:
            return self._refusal("scan_failed", "The scan of this commit failed, so nothing is known of it.", None)
        if result.decision == "failed":
            broken = [one["sentence"] for one in result.conditions if not one["passed"]]
            return self._refusal("gate_failed", f"The gate failed: the policy allows {'; '.join(broken)}.", _gate(repository, result))
        return self.answer(_gate(repository, result), serializer_class=GateSerializer)

    def _refusal(self, code: str, message: str, gate: dict[str, Any] | None) -> Response:
        error = {"code": code, "message": message, "fields": {}, "request_id": context.request_id()}
        return Response({**(gate or {}), **error}, status=status.HTTP_409_CONFLICT)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= LONGEST_DAYS):
        raise InvalidInput.of("days", f"must be a whole number from 1 to {LONGEST_DAYS}.")
    return int(text)


def _gate(repository: Repository, result: GateResult) -> dict[str, Any]:
    names = ("decision", "ref", "commit", "policy_version", "conditions", "broken_count", "broken_by", "created_at")
    values = {name: getattr(result, name) for name in names}
    return {**values, "repository": repository.full_name, "scan": result.scan_id, "policy": result.policy_name}
