"""Policies: the conditions of the gate."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.principals import principal
from core.api.serializers import StrictModelSerializer
from core.api.viewsets import CreateRow, DestroyRow, ListRows, RetrieveRow, UpdateRow
from core.errors import InvalidInput, NotAllowed
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_id
from scans.gates.conditions import load
from scans.models import Policy
from scans.services import policies as services

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_CONDITION = {"among": "new", "severity": "high", "most": 0, "only_fixable": False, "kinds": []}
_WRITE: dict[str, Any] = {"name": "Nothing new that is high", "repository": _ID, "conditions": [_CONDITION]}
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
    conditions = serializers.ListField(child=serializers.DictField(), help_text="Each with among, severity, most, only_fixable, kinds.")
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
        return services.create_policy(data["name"], data["conditions"], self._repository(data.get("repository_id")))

    def update_row(self, row: Policy, data: dict[str, Any]) -> Policy:
        """Change a policy; its repository stays."""
        if "repository_id" in data and data["repository_id"] != row.repository_id:
            raise InvalidInput.of("repository", "can't be changed: delete this policy and make another.")
        return services.update_policy(row, name=data.get("name"), conditions=data.get("conditions"))

    def delete_row(self, row: Policy) -> None:
        """Remove a policy."""
        services.delete_policy(row)

    def _repository(self, id: Any) -> Repository | None:
        who = principal(self.request)
        if id is None:
            if not who.is_admin:
                raise NotAllowed("repository: only an admin makes the default policy; name a repository of yours.")
            return None
        found = repositories_by_id([id], who)
        if not found:
            raise InvalidInput.of("repository", "is not known here.", code="unknown_repository")
        return found[0]
