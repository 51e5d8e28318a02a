"""What differs between two scans, or two refs, of a repository."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.serializers import StrictSerializer
from core.api.viewsets import PortalViewSet
from core.errors import InvalidInput
from core.ids import is_uuid
from integrations.models import Repository
from integrations.selectors.repositories import all_repositories
from scans.api.filters import FindingFilter
from scans.api.scan_serializers import SCAN
from scans.api.serializers import FINDING, FindingSerializer
from scans.comparing import Change, Comparison, compare_refs, compare_scans
from scans.models import Finding, Scan
from scans.refs import plain_ref
from scans.selectors import shown_scans

ROUTES: dict[str, dict[str, Any]] = {"diff": {"get": "diff"}, "diff/findings": {"get": "changed"}}
_SIDE = {"scan": SCAN["id"], "ref": "main", "commit": SCAN["commit"], "at": SCAN["finished_at"]}
_NUMBERS = {"critical": 0, "high": 1, "medium": 0, "low": 0, "info": 0, "unknown": 0}
_DIFF = {
    "base": _SIDE | {"ref": "main"},
    "head": _SIDE | {"ref": "feature"},
    "tools": ["semgrep"],
    "new": {"total": 1, "by_severity": _NUMBERS, "top": [FINDING]},
    "gone": {"total": 0, "by_severity": dict.fromkeys(_NUMBERS, 0), "top": []},
    "unchanged": {"total": 1, "by_severity": _NUMBERS},
    "unscanned": {"total": 0, "by_severity": dict.fromkeys(_NUMBERS, 0)},
}
_BASE_SCAN = OpenApiParameter("base", OpenApiTypes.UUID, required=True, description="Id of the scan that it is compared with.")
_CHANGE = OpenApiParameter("change", str, enum=Change.values, default=Change.NEW.value, description="What became of the findings.")
_REFS = [
    OpenApiParameter("base", str, description="Branch or ref that it is compared with; the default branch when left out."),
    OpenApiParameter("head", str, required=True, description="Branch or ref."),
]


class SideSerializer(StrictSerializer):
    """A ref after one of its scans; without a scan, as it is now."""

    scan = serializers.UUIDField(source="scan_id", allow_null=True)
    ref = serializers.CharField()
    commit = serializers.CharField(help_text="Of the last scan; empty where it was not given.")
    at = serializers.DateTimeField(allow_null=True)


class NumbersSerializer(StrictSerializer):
    """How many findings."""

    total = serializers.IntegerField()
    by_severity = serializers.DictField(child=serializers.IntegerField())


class ChangedSerializer(NumbersSerializer):
    """How many findings, and the worst of them."""

    top = FindingSerializer(many=True, help_text="The worst ten.")


@extend_schema_serializer(examples=[OpenApiExample("A comparison", value=_DIFF, response_only=True)])
class DiffSerializer(StrictSerializer):
    """What differs. Findings have the severity and triage that they have now."""

    base = SideSerializer()
    head = SideSerializer()
    tools = serializers.ListField(child=serializers.CharField(), help_text="The tools whose findings are compared.")
    new = ChangedSerializer(help_text="In the head only.")
    gone = ChangedSerializer(help_text="In the base only, though a tool that reported it there has looked at the head too.")
    unchanged = NumbersSerializer(help_text="In both.")
    unscanned = NumbersSerializer(help_text="In the base only; no tool that reported it there has looked at the head.")


class ChangedFilter(FindingFilter):
    """By what the findings are, and what was decided about them."""

    repository = state = ref = None

    class Meta:
        model = Finding
        fields: list[str] = []


class DiffActions(PortalViewSet[Any]):
    """The two ways to look at a comparison."""

    scope_resource = "findings"
    serializer_class = DiffSerializer
    list_actions: ClassVar[Any] = {"changed": ChangedFilter}

    def comparison(self, request: Request) -> Comparison:
        """Return what the request compares."""
        raise NotImplementedError

    def _diff(self, request: Request) -> Response:
        compared = self.comparison(request)
        answer: dict[str, Any] = {"base": compared.base, "head": compared.head, "tools": compared.tools}
        for change, counts in compared.counts().items():
            answer[change] = {"total": sum(counts.values()), "by_severity": counts}
            if change in (Change.NEW, Change.GONE):
                answer[change]["top"] = compared.top(change)
        return self.answer(answer, serializer_class=DiffSerializer)

    def _changed(self, request: Request) -> Response:
        change = request.query_params.get("change", Change.NEW.value)
        if change not in Change.values:
            raise InvalidInput.of("change", f"must be one of {', '.join(Change.values)}.")
        return self.page(self.comparison(request).only(change), FindingSerializer)


class ScanDiffViewSet(DiffActions):
    """What differs after two scans of a repository."""

    owner_path = "repository__owner_id"
    queryset = shown_scans()
    query_parameters: ClassVar[Any] = {"diff": frozenset({"base"}), "changed": frozenset({"base", "change"})}

    @extend_schema(parameters=[_BASE_SCAN], responses={200: DiffSerializer})
    def diff(self, request: Request, id: str) -> Response:
        """Count what is new, gone and unchanged after this scan, compared with another of the repository, by the tools of both.

        A scan of one ref can be compared with one of another. Both must have ended as completed or partial.
        """
        return self._diff(request)

    @extend_schema(parameters=[_BASE_SCAN, _CHANGE], responses={200: FindingSerializer(many=True)})
    def changed(self, request: Request, id: str) -> Response:
        """List the findings of one change, newest first."""
        return self._changed(request)

    def comparison(self, request: Request) -> Comparison:
        """Return what the request compares."""
        head: Scan = self.get_object()
        wanted = request.query_params.get("base", "")
        if not is_uuid(wanted):
            raise InvalidInput.of("base", "must be the id of a scan of the same repository.")
        base = self.scoped(self.get_queryset()).filter(id=wanted, repository_id=head.repository_id).first()
        if base is None:
            raise InvalidInput.of("base", "is no scan of this repository.", code="unknown_scan")
        return compare_scans(head, base)


class RefDiffViewSet(DiffActions):
    """What differs between two refs of a repository."""

    queryset = all_repositories()
    query_parameters: ClassVar[Any] = {"diff": frozenset({"base", "head"}), "changed": frozenset({"base", "head", "change"})}

    @extend_schema(parameters=_REFS, responses={200: DiffSerializer})
    def diff(self, request: Request, id: str) -> Response:
        """Count what is new, gone and unchanged on one ref compared with another, as they are now.

        What only tools report that never looked at the head is not gone, but counted as `unscanned`.
        """
        return self._diff(request)

    @extend_schema(parameters=[*_REFS, _CHANGE], responses={200: FindingSerializer(many=True)})
    def changed(self, request: Request, id: str) -> Response:
        """List the findings of one change, newest first."""
        return self._changed(request)

    def comparison(self, request: Request) -> Comparison:
        """Return what the request compares."""
        repository: Repository = self.get_object()
        base, head = (plain_ref(request.query_params.get(name, "")) for name in ("base", "head"))
        if not head:
            raise InvalidInput.of("head", "must be given: the branch or ref that is compared.")
        return compare_refs(repository, base or repository.default_branch, head)
