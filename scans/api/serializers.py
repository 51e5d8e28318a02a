"""Findings and gates as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import StrictModelSerializer, StrictSerializer
from scans.categories import shown_category
from scans.choices import GateCause, Triage
from scans.gates import sla
from scans.models import Finding, Presence

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_COMMIT = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"
_COUNTS = {"critical": 0, "high": 2, "medium": 5, "low": 1, "info": 0, "unknown": 0}
FINDING: dict[str, Any] = {
    "id": _ID,
    "repository": _ID,
    "repository_name": "acme/shop",
    "kind": "dependency",
    "state": "open",
    "triage": "",
    "suppressed": False,
    "severity": "high",
    "severity_origin": "cvss 7.4",
    "title": "Prototype pollution in lodash",
    "rule": "SNYK-JS-LODASH-567746",
    "tool": "",
    "sources": ["snyk", "trivy"],
    "identifiers": [["CVE", "CVE-2020-8203"], ["GHSA", "GHSA-p6mc-m468-83gw"]],
    "cwe": [1321],
    "cvss_score": 7.4,
    "cvss_vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:H/A:H",
    "known_exploited": False,
    "exploited_due": None,
    "epss": 0.0313,
    "epss_percentile": 0.8651,
    "ecosystem": "npm",
    "package": "lodash",
    "version": "4.17.15",
    "fixed_version": "4.17.20",
    "vulnerable_range": "<4.17.20",
    "purl": "pkg:npm/lodash@4.17.15",
    "path": "package-lock.json",
    "line": None,
    "url": "https://security.snyk.io/vuln/SNYK-JS-LODASH-567746",
    "opened_at": "2026-11-20T12:05:02Z",
    "due_at": "2026-12-20T12:05:02Z",
    "overdue": False,
    "fixed_at": None,
    "created_at": "2026-11-20T12:05:02Z",
    "updated_at": "2026-11-20T12:05:02Z",
}
_DESCRIPTION = "lodash before 4.17.20 …"
_PRESENCE = {
    "tool": "snyk", "category": "", "integration": "Snyk production", "ref": "main", "first_scan": _ID, "closed_scan": None,
    "severity": "high", "raw": {"id": "…"},
}  # fmt: skip
DETAIL = {**FINDING, "description": _DESCRIPTION, "presences": [_PRESENCE]}
SUMMARY = {"total": 8, "by_severity": _COUNTS, "ref": "main"}
TREND = {
    "points": [
        {"day": "2026-11-19", "total": 9, "by_severity": {**_COUNTS, "high": 3}},
        {"day": "2026-11-20", "total": 8, "by_severity": _COUNTS},
    ]
}
GATE = {
    "decision": "passed",
    "repository": "acme/shop",
    "ref": "main",
    "commit": _COMMIT,
    "scan": _ID,
    "cause": "scan",
    "incomplete": False,
    "policy": "built-in default",
    "policy_version": 0,
    "conditions": [
        {
            "among": "new", "severity": "high", "most": 0, "only_fixable": False, "kinds": [], "known_exploited": False, "min_epss": None,
            "over_sla": False, "since": None, "found": 0, "passed": True, "sentence": "no new findings of severity high or worse",
        }
    ],
    "counts": {"new": {}, "all": {"medium": 12}},
    "broken_count": 0,
    "broken_by": [],
    "worst": [],
    "created_at": "2026-11-20T12:05:02Z",
}  # fmt: skip


class RepositoryNamedMixin(serializers.Serializer[Any]):
    """Names the repository by id and full name."""

    repository = serializers.UUIDField(source="repository_id", read_only=True)
    repository_name = serializers.CharField(source="repository.full_name", read_only=True)


@extend_schema_serializer(examples=[OpenApiExample("A finding", value=FINDING, response_only=True)])
class FindingSerializer(RepositoryNamedMixin, StrictModelSerializer[Finding]):
    """One weakness of one repository, whichever scanners report it."""

    sources = serializers.ListField(child=serializers.CharField(), read_only=True, help_text="Scanners that report it now.")
    identifiers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()), read_only=True)
    cwe = serializers.ListField(child=serializers.IntegerField(), read_only=True)
    due_at = serializers.SerializerMethodField(help_text="By the SLA of the policy in force; null where it has none, or it does not count.")
    overdue = serializers.SerializerMethodField()

    class Meta:
        model = Finding
        fields: tuple[str, ...] = tuple(FINDING)
        read_only_fields = fields

    def get_due_at(self, row: Finding) -> datetime | None:
        """Return until when it has to be fixed."""
        return sla.due_at(row)

    def get_overdue(self, row: Finding) -> bool:
        """Return whether it should have been."""
        return sla.is_overdue(row)


class PresenceSerializer(StrictModelSerializer[Presence]):
    """What one scanner says of it on one ref."""

    tool = serializers.CharField(source="stream.tool")
    category = serializers.SerializerMethodField(help_text="As the scanner names it.")
    integration = serializers.CharField(
        source="integration_name", default=None, allow_null=True, help_text="Name of the integration that was read; null for an upload."
    )
    ref = serializers.CharField(source="stream.ref")
    first_scan = serializers.UUIDField(source="first_scan_id")
    closed_scan = serializers.UUIDField(source="closed_scan_id", allow_null=True)
    severity = serializers.SerializerMethodField()
    raw = serializers.JSONField(help_text="What the scanner wrote.")

    class Meta:
        model = Presence
        fields = tuple(_PRESENCE)
        read_only_fields = fields

    def get_category(self, row: Presence) -> str:
        """Return it without the integration, which has a field of its own."""
        return shown_category(row.stream.category)

    def get_severity(self, row: Presence) -> str:
        """Return what it says."""
        return str(row.reported.get("severity", "")) if isinstance(row.reported, dict) else ""


@extend_schema_serializer(examples=[OpenApiExample("A finding", value=DETAIL, response_only=True)])
class FindingDetailSerializer(FindingSerializer):
    """A finding with its description and what each scanner says of it."""

    presences = PresenceSerializer(many=True, read_only=True, source="shown_presences")

    class Meta(FindingSerializer.Meta):
        fields = tuple(DETAIL)
        read_only_fields = fields


@extend_schema_serializer(examples=[OpenApiExample("Counts", value=SUMMARY, response_only=True)])
class SummarySerializer(StrictSerializer):
    """How many findings count: open, neither suppressed nor triaged."""

    total = serializers.IntegerField()
    by_severity = serializers.DictField(child=serializers.IntegerField())
    ref = serializers.CharField()


class TrendPointSerializer(StrictSerializer):
    """What counted at the end of a day."""

    day = serializers.DateField()
    total = serializers.IntegerField()
    by_severity = serializers.DictField(child=serializers.IntegerField())


@extend_schema_serializer(examples=[OpenApiExample("Two days", value=TREND, response_only=True)])
class TrendSerializer(StrictSerializer):
    """Open findings over time, oldest day first; a day on which no worker ran is missing."""

    points = TrendPointSerializer(many=True)


@extend_schema_serializer(examples=[OpenApiExample("A gate that passed", value=GATE, response_only=True)])
class GateSerializer(StrictSerializer):
    """What the policy says of a commit."""

    decision = serializers.CharField(help_text="passed or failed.")
    repository = serializers.CharField()
    ref = serializers.CharField()
    commit = serializers.CharField()
    scan = serializers.UUIDField(help_text="The last scan of the ref when it was decided.")
    cause = serializers.ChoiceField(choices=GateCause.choices, help_text="What it was decided after.")
    incomplete = serializers.BooleanField(help_text="Parts of a report of the commit could not be used: it was decided on the rest.")
    policy = serializers.CharField()
    policy_version = serializers.IntegerField()
    conditions = serializers.ListField(child=serializers.DictField())
    counts = serializers.DictField(child=serializers.DictField(), help_text="Of the ref's findings that count by severity, new and all.")
    broken_count = serializers.IntegerField()
    broken_by = serializers.ListField(child=serializers.DictField(), help_text="The findings that broke it, each with its condition.")
    worst = serializers.ListField(child=serializers.DictField(), help_text="The worst five of these, in words and with a link.")
    created_at = serializers.DateTimeField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "A risk that is accepted for a while",
            value={"triage": "accepted", "reason": "Not reachable from outside.", "expires_at": "2027-02-01T00:00:00Z"},
            request_only=True,
        )
    ]
)
class DecisionSerializer(StrictSerializer):
    """What is decided about a finding."""

    triage = serializers.ChoiceField(choices=[choice for choice in Triage.choices if choice[0]])
    reason = serializers.CharField(max_length=2000, help_text="Why; auditors will ask.")
    expires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="It counts again from then on; never when left out.")
