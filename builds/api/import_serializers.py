"""Imports of builds as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from builds.choices import ImportStatus
from builds.models import BuildImport
from builds.selectors import percent_of, shown_status
from core.api.serializers import StrictModelSerializer, StrictSerializer

EXAMPLE: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5bb",
    "kind": "travistorrent",
    "status": "running",
    "project": "",
    "branch": "",
    "workflow": "",
    "since": None,
    "until": None,
    "percent": 41.7,
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


class NothingSerializer(StrictSerializer):
    """An empty body."""


class _ProblemSerializer(serializers.Serializer[Any]):
    line = serializers.IntegerField(required=False, help_text="Of the file, from 1.")
    field: Any = serializers.CharField(required=False, help_text="The column, or the field of a build.")
    reason = serializers.CharField()


@extend_schema_serializer(examples=[OpenApiExample("A running import", value=EXAMPLE, response_only=True)])
class BuildImportSerializer(StrictModelSerializer[BuildImport]):
    """An import and how far it is."""

    status = serializers.SerializerMethodField()
    percent = serializers.SerializerMethodField(help_text="Share that is done; null where the source does not say how many there are.")
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
