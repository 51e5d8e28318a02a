"""Findings: listed and looked at."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.serializers import NothingSerializer
from core.api.viewsets import ListRows, RetrieveRow
from scans.api.filters import FindingFilter
from scans.api.serializers import DecisionSerializer, FindingDetailSerializer, FindingSerializer
from scans.categories import name_integrations
from scans.models import Finding, Presence
from scans.selectors import shown_findings
from scans.services.triage import Decision, decide, take_back

_MOST_PRESENCES = 100


class FindingViewSet(ListRows[Finding], RetrieveRow[Finding]):
    """The findings of every scanner in one list."""

    scope_resource = "findings"
    owner_path = "repository__owner_id"
    queryset = shown_findings()
    serializer_class = FindingSerializer
    filterset_class = FindingFilter

    @extend_schema(responses={200: FindingDetailSerializer})
    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer a finding with what each scanner says of it; the latest hundred accounts."""
        presences = Presence.objects.select_related("stream").order_by("-id")[:_MOST_PRESENCES]
        self.queryset = shown_findings().prefetch_related(Prefetch("presences", presences, to_attr="shown_presences"))
        row = self.get_object()
        name_integrations(row.shown_presences)  # type: ignore[attr-defined]  # prefetched
        return self.answer(row, serializer_class=FindingDetailSerializer)

    @extend_schema(request=DecisionSerializer, responses={200: FindingSerializer})
    @action(detail=True, methods=["post"])
    def triage(self, request: Request, id: str) -> Response:
        """Decide about a finding: accept its risk, call it a false positive or ignore it. It then no longer counts, in gates either.

        With `expires_at` it counts again from then on, and `finding.expired` is published.
        """
        row = self.get_object()
        data = self.checked_data(DecisionSerializer)
        return self.answer(decide(row, Decision(data["triage"], data["reason"], data.get("expires_at"))))

    @extend_schema(request=NothingSerializer, responses={200: FindingSerializer})
    @action(detail=True, methods=["post"], url_path="reopen")
    def reopen(self, request: Request, id: str) -> Response:
        """Take the decision back: the finding counts again."""
        row = self.get_object()
        self.checked_data(NothingSerializer)
        return self.answer(take_back(row))
