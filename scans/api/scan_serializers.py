"""Scans as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.models.work import WorkState
from scans.api.serializers import RepositoryNamedMixin
from scans.models import Scan
from scans.services.queueing import Reused

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_COMMIT = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"
SCAN: dict[str, Any] = {
    "id": _ID,
    "repository": _ID,
    "repository_name": "acme/shop",
    "integration": None,
    "integration_name": None,
    "trigger": "upload",
    "status": "partial",
    "format": "sarif",
    "tools": ["semgrep"],
    "category": "",
    "ref": "main",
    "commit": _COMMIT,
    "complete": True,
    "full": False,
    "size": 48213,
    "total": 37,
    "new": 2,
    "fixed": 0,
    "reopened": 0,
    "by_severity": {"high": 2, "medium": 35},
    "problem_count": 1,
    "problems": [{"where": "runs[0].results[12]", "sentence": "The result has no rule, no message and no place."}],
    "read": 38,
    "pages": 0,
    "expected": None,
    "next_try_at": None,
    "error": "",
    "started_by": "key CI (rg_live_h3Kd92Xq…)",
    "created_at": "2026-11-20T12:05:00Z",
    "started_at": "2026-11-20T12:05:01Z",
    "finished_at": "2026-11-20T12:05:02Z",
}
PULLED: dict[str, Any] = SCAN | {
    "integration": _ID, "integration_name": "Snyk production", "trigger": "api", "status": "queued", "format": "", "tools": [], "size": 0,
    "total": 0, "new": 0, "by_severity": {}, "problem_count": 0, "problems": [], "read": 0, "started_at": None, "finished_at": None,
}  # fmt: skip


@extend_schema_serializer(examples=[OpenApiExample("A scan", value=SCAN, response_only=True)])
class ScanSerializer(RepositoryNamedMixin, StrictModelSerializer[Scan]):
    """One report of one scanner about one commit."""

    tools = serializers.ListField(child=serializers.CharField(), read_only=True)
    by_severity = serializers.DictField(child=serializers.IntegerField(), read_only=True, help_text="Of the findings that it reports.")
    problems = serializers.ListField(child=serializers.DictField(), read_only=True, help_text="The first parts that could not be used.")
    integration = serializers.UUIDField(source="integration_id", read_only=True, allow_null=True, help_text="What it is read from.")
    integration_name = serializers.CharField(source="integration.name", default=None, read_only=True, allow_null=True)
    read = serializers.SerializerMethodField(help_text="Findings read so far.")
    pages = serializers.SerializerMethodField(help_text="Pages of the source that were stored so far.")
    expected = serializers.IntegerField(read_only=True, allow_null=True, help_text="Findings that the source says there are.")
    next_try_at = serializers.SerializerMethodField(help_text="When it goes on, of one that waits; `error` says what for.")

    class Meta:
        model = Scan
        fields: tuple[str, ...] = tuple(SCAN)
        read_only_fields = fields

    def get_read(self, row: Scan) -> int:
        """Return the progress."""
        return int(row.progress.get("read", 0))

    def get_pages(self, row: Scan) -> int:
        """Return how many pages there are of it."""
        return int(row.progress.get("pages", 0))

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_try_at(self, row: Scan) -> datetime | None:
        """Return when it is tried again."""
        return row.run_after if row.state == WorkState.QUEUED and row.error else None


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A commit of a branch",
            value={"repository": "acme/shop", "integration": _ID, "ref": "main", "commit": _COMMIT},
            request_only=True,
        )
    ]
)
class ScanRequestSerializer(StrictSerializer):
    """What is to be scanned."""

    repository = serializers.CharField(max_length=300, help_text="Id or full name (owner/name) of the repository.")
    integration = serializers.UUIDField(help_text="What its findings are read from.")
    ref = serializers.CharField(max_length=255, required=False, help_text="Branch or other ref; the default branch when left out.")
    commit = serializers.CharField(max_length=64, required=False, help_text="SHA of the commit; left out, it is what the source has now.")
    full = serializers.BooleanField(
        required=False, default=False, help_text="Read everything, though the source could tell only what changed; no earlier scan answers."
    )


@extend_schema_serializer(examples=[OpenApiExample("A scan", value={**PULLED, "reused": ""}, response_only=True)])
class StartedScanSerializer(ScanSerializer):
    """The scan that answers a request."""

    reused = serializers.ChoiceField(
        choices=Reused.choices, read_only=True,
        help_text="Empty for a new scan; else what answers: one that is queued, or one of the same commit that is running or completed.",
    )  # fmt: skip

    class Meta(ScanSerializer.Meta):
        fields = (*SCAN, "reused")
        read_only_fields = fields


class QueuedScanSerializer(StrictModelSerializer[Scan]):
    """What an upload answers."""

    class Meta:
        model = Scan
        fields = ("id", "status")
        read_only_fields = fields
