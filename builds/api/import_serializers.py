"""Imports of builds as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from builds.choices import ImportStatus
from builds.importing.progress import eta_seconds_of
from builds.models import BuildImport
from builds.selectors import percent_of, shown_status
from core.api.serializers import StrictModelSerializer, StrictSerializer

_START: dict[str, Any] = {
    "project": "acme/shop",
    "integration": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    "branch": "main",
    "workflow": "test.yml",
    "since": "2026-01-01T00:00:00Z",
}
EXAMPLE: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5bb",
    "kind": "travistorrent",
    "status": "running",
    "project": "",
    "integration": None,
    "branch": "",
    "workflow": "",
    "since": None,
    "until": None,
    "percent": 41.7,
    "eta_seconds": None,
    "total": None,
    "seen": 12000,
    "created": 2480,
    "updated": 310,
    "rejected": 1,
    "problems": [{"line": 4711, "field": "tr_status", "reason": "is empty."}],
    "error": "",
    "owner": "team:payments",
    "started_by": "key CI (rg_live_h3Kd92Xq…)",
    "created_at": "2026-11-20T12:05:00Z",
    "finished_at": None,
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A workflow of the main branch, since January", value=_START, request_only=True),
        OpenApiExample("Everything of a public repository", value={"project": "acme/shop"}, request_only=True),
    ]
)
class StartGitHubImportSerializer(StrictSerializer):
    """Which runs of GitHub Actions become builds."""

    project = serializers.CharField(max_length=255, help_text="owner/name at GitHub.")
    integration = serializers.UUIDField(
        required=False, allow_null=True, help_text="Integration with GitHub whose token is used; without one, only public repositories."
    )
    branch = serializers.CharField(required=False, allow_blank=True, max_length=255, help_text="All by default.")
    workflow = serializers.CharField(
        required=False, allow_blank=True, max_length=255, help_text="File name such as test.yml, id, or name; all by default."
    )
    since = serializers.DateTimeField(required=False, allow_null=True, help_text="Runs that were created from then on.")
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="Before this time; now by default.")


class _ProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(required=False, help_text="Of the file, from 1.")
    field: Any = serializers.CharField(required=False, help_text="The column, or the field of a build.")
    reason = serializers.CharField()


@extend_schema_serializer(examples=[OpenApiExample("A running import", value=EXAMPLE, response_only=True)])
class BuildImportSerializer(StrictModelSerializer[BuildImport]):
    """An import and how far it is."""

    status = serializers.SerializerMethodField()
    percent = serializers.SerializerMethodField(help_text="Share that is done; null where the source does not say how many there are.")
    integration = serializers.UUIDField(source="integration_id", read_only=True, allow_null=True)
    eta_seconds = serializers.SerializerMethodField(help_text="Seconds left, with the wait for a source's limit; null if unknown.")
    problems = _ProblemSerializer(many=True, read_only=True, help_text="The first 100 rejected rows.")
    owner = OwnerField(read_only=True, required=None)

    class Meta:
        model = BuildImport
        fields: tuple[str, ...] = tuple(EXAMPLE)
        read_only_fields = fields

    def get_status(self, row: BuildImport) -> ImportStatus:
        """Return where it stands."""
        return ImportStatus(shown_status(row))

    def get_percent(self, row: BuildImport) -> float | None:
        """Return the share that is done."""
        return percent_of(row)

    def get_eta_seconds(self, row: BuildImport) -> float | None:
        """Return the seconds left."""
        return eta_seconds_of(row)
