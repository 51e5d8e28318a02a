"""What a repository's scans say: counts of its findings, and its gate."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from core import context, holding
from core.api.viewsets import PortalViewSet
from core.errors import InvalidInput
from integrations.models import Repository
from integrations.selectors.repositories import all_repositories
from scans.api.serializers import GateSerializer, SummarySerializer, TrendSerializer
from scans.choices import GateDecision
from scans.gate_events import breaking
from scans.gates import answers
from scans.gates.answers import Answer
from scans.models import GateResult
from scans.refs import checked_commit, plain_ref
from scans.reports.texts import link_of
from scans.selectors import summary
from scans.trend import LONGEST_DAYS, trend

ROUTES: dict[str, dict[str, Any]] = {
    "findings/summary": {"get": "findings_summary"},
    "findings/trend": {"get": "findings_trend"},
    "gate": {"get": "gate"},
}
LONGEST_WAIT = 60
_GATE = {
    "commit": "SHA of the commit, as its scans were uploaded with; left out: the default branch as it is.",
    "ref": "Only what was decided of the commit on this branch or ref; left out: it passes where it passed on all.",
    "wait": f"Seconds, up to {LONGEST_WAIT}, for which the answer is held back while a scan of the commit goes on or is to come.",
}


class RepositoryScansViewSet(PortalViewSet[Repository]):
    """Views of a repository that belong to its scans."""

    scope_resource = "findings"
    queryset = all_repositories()
    query_parameters: ClassVar[Any] = {
        "findings_summary": frozenset({"ref"}),
        "findings_trend": frozenset({"days"}),
        "gate": frozenset(_GATE),
    }

    @extend_schema(
        parameters=[OpenApiParameter("ref", str, description="Branch or ref; the default branch when left out.")],
        responses={200: SummarySerializer},
    )
    def findings_summary(self, request: Request, id: str) -> Response:
        """Count the findings that are open, without suppressed and triaged ones."""
        repository = self.get_object()
        ref = plain_ref(request.query_params.get("ref", "")) or repository.default_branch
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
        points = trend(Repository.objects.filter(id=repository.id), _whole("days", request.query_params.get("days", "90"), 1, LONGEST_DAYS))
        rows = [{"day": point.day, "total": point.total, "by_severity": point.by_severity} for point in points]
        return self.answer({"points": rows}, serializer_class=TrendSerializer)

    @extend_schema(
        parameters=[OpenApiParameter(name, str, description=said) for name, said in _GATE.items()], responses={200: GateSerializer}
    )
    def gate(self, request: Request, id: str) -> Response:
        """Answer what the policy says of a commit, or without one of the default branch as it was decided last.

        200 it passed, 409 it failed or a scan did, 503 a scan of the commit goes on or is waited for, 404 the commit is not known. So
        `curl --fail --retry 20` waits for the scan, and fails for anything but a gate that passed.
        """
        repository = self.get_object()
        given = request.query_params
        seconds = _whole("wait", given.get("wait", "0"), 0, LONGEST_WAIT, "of seconds ")
        commit = checked_commit(given.get("commit", ""))
        if commit:
            answer = holding.until(
                request._request, seconds, lambda: answers.of_commit(repository, commit, plain_ref(given.get("ref", "")))
            )
        elif "ref" in given:
            raise InvalidInput.of("ref", "needs commit beside it.")
        else:
            answer = answers.of_branch(repository)
        if answer.passed and answer.result:
            return self.answer(_gate(repository, answer, answer.result), serializer_class=GateSerializer)
        return self._refusal(repository, answer)

    def _refusal(self, repository: Repository, answer: Answer) -> Response:
        result = answer.result
        said = _gate(repository, answer, result) if result else {}
        if result is not None and result.decision == GateDecision.FAILED:
            broken = "; ".join(one["sentence"] for one in result.conditions if not one["passed"])
            code, message = "gate_failed", f"The gate failed: the policy allows {broken}."
        else:
            failed = answer.failed
            why = failed.problems[0]["sentence"] if failed and failed.problems else (failed.error if failed else "")
            code, said = "scan_failed", {"scan": str(failed.id)} if failed else {}
            message = f"A scan of this commit failed, so what it would have found is not known: {why or 'its worker was lost.'} Scan again."
        error = {"code": code, "message": message, "fields": {}, "request_id": context.request_id()}
        return Response({**said, **error}, status=status.HTTP_409_CONFLICT)


def _whole(name: str, text: str, least: int, most: int, unit: str = "") -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and least <= int(text) <= most):
        raise InvalidInput.of(name, f"must be a whole number {unit}from {least} to {most}.")
    return int(text)


def _gate(repository: Repository, answer: Answer, result: GateResult) -> dict[str, Any]:
    names = ("decision", "ref", "commit", "cause", "policy_version", "conditions", "counts", "broken_count", "broken_by", "created_at")
    values = {name: getattr(result, name) for name in names}
    worst = [one | {"link": link_of(one["finding_id"])} for one in breaking(result)]
    more = {"scan": result.scan_id, "policy": result.policy_name, "incomplete": answer.incomplete, "worst": worst}
    return {**values, **more, "repository": repository.full_name}
