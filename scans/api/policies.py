"""Policies: the conditions of the gate."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiExample, extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from access.principals import principal
from core.api.serializers import StrictModelSerializer
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import InvalidInput, NotAllowed
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_id
from scans.api.trial_serializers import DryRunSerializer, LastSerializer, TrialsSerializer
from scans.gates import trying
from scans.gates.conditions import Condition, load, parse, parse_sla
from scans.gates.policy import InForce
from scans.models import GateFacts, Policy
from scans.services import policies as services

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_CONDITION = Condition().stored()
_SLA = {"critical": 7, "high": 30}
_WRITE: dict[str, Any] = {"name": "Nothing new that is high", "repository": _ID, "conditions": [_CONDITION], "sla_days": _SLA}
_READ: dict[str, Any] = {
    "id": _ID, **_WRITE, "sentences": ["no new findings of severity high or worse"], "version": 1,
    "created_at": "2026-11-20T12:05:02Z", "updated_at": "2026-11-20T12:05:02Z",
}  # fmt: skip


@extend_schema_serializer(
    examples=[
        OpenApiExample("A policy", value=_READ, response_only=True),
        OpenApiExample("Of a repository", value=_WRITE, request_only=True),
    ]
)
class PolicySerializer(StrictModelSerializer[Policy]):
    """What a commit must fulfil."""

    repository = serializers.UUIDField(
        source="repository_id", allow_null=True, required=False, help_text="Null: of every repository without one of its own."
    )
    conditions = serializers.ListField(child=serializers.DictField(), help_text="docs/gates.md says what each may have.")
    sla_days = serializers.DictField(default=dict, help_text="Days by severity within which a finding has to be fixed.")
    sentences = serializers.SerializerMethodField(help_text="The conditions in plain words.")

    class Meta:
        model = Policy
        fields = tuple(_READ)
        read_only_fields = ("id", "version", "created_at", "updated_at")

    def get_sentences(self, row: Policy) -> list[str]:
        """Return the conditions in plain words."""
        return [one.sentence() for one in load(row.conditions)]


class PolicyViewSet(ListRows[Policy], RetrieveRow[Policy], CreateRow[Policy], UpdateRow[Policy], DestroyRow[Policy]):
    """The conditions of the gate, of a repository or of all that have none of their own. The default one is the admins'."""

    scope_resource = "policies"
    owner_path = "repository__owner_id"
    queryset = Policy.objects.select_related("repository")
    serializer_class = PolicySerializer

    def create_row(self, data: dict[str, Any]) -> Policy:
        """Make a policy."""
        return services.create_policy(data["name"], data["conditions"], self._repository(data.get("repository_id")), data["sla_days"])

    def update_row(self, row: Policy, data: dict[str, Any]) -> Policy:
        """Change a policy; its repository stays."""
        if "repository_id" in data and data["repository_id"] != row.repository_id:
            raise InvalidInput.of("repository", "can't be changed: delete this policy and make another.")
        return services.update_policy(row, name=data.get("name"), conditions=data.get("conditions"), sla_days=data.get("sla_days"))

    def delete_row(self, row: Policy) -> None:
        """Remove a policy."""
        services.delete_policy(row)

    @extend_schema(request=DryRunSerializer, responses={200: TrialsSerializer}, operation_id="policies_try")
    @action(detail=False, methods=["post"], url_path="dry-run", url_name="try")
    def try_conditions(self, request: Request) -> Response:
        """Say what conditions would have decided of the last scans, of a repository or of all that you see. Nothing is stored."""
        data = self.checked_data(DryRunSerializer)
        conditions = parse(data["conditions"])
        policy = InForce("", 0, conditions, parse_sla(data["sla_days"], conditions))
        repository_id = self._seen(data["repository"]).id if data.get("repository") else None
        return self._tried(policy, trying.kept_for(principal(request), repository_id, by_default=False), data["last"])

    @extend_schema(request=LastSerializer, responses={200: TrialsSerializer})
    @action(detail=True, methods=["post"], url_path="dry-run")
    def dry_run(self, request: Request, id: str) -> Response:
        """Say what this policy as it is now would have decided of the last scans of its repositories."""
        policy = self.get_object()
        last = self.checked_data(LastSerializer)["last"]
        return self._tried(InForce.of(policy), trying.kept_for(principal(request), policy.repository_id, by_default=True), last)

    def _tried(self, policy: InForce, rows: QuerySet[GateFacts], last: int) -> Response:
        trials = trying.tried(policy, rows, last)
        said = {"sentences": [one.sentence() for one in policy.conditions], "summary": trials.sentence(), "counts": trials.counts()}
        return self.answer({**said, "results": trials.rows}, serializer_class=TrialsSerializer)

    def _repository(self, id: Any) -> Repository | None:
        if id is None and not principal(self.request).is_admin:
            raise NotAllowed("repository: only an admin makes the default policy; name a repository of yours.")
        return None if id is None else self._seen(id)

    def _seen(self, id: Any) -> Repository:
        found = repositories_by_id([id], principal(self.request))
        if not found:
            raise InvalidInput.of("repository", "is not known here.", code="unknown_repository")
        return found[0]
