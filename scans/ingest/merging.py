"""What a finding is once all its sources have been heard; the result depends on what they say now, never on who came first."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models import Model

from scans.choices import Triage
from scans.models import Finding, FindingIdentifier, Presence, RiskAcceptance
from scans.severities import rank

MERGED = (
    "title", "description", "severity", "severity_rank", "severity_origin", "cvss_score", "cvss_vector", "cwe", "identifiers", "version",
    "fixed_version", "vulnerable_range", "purl", "path", "line", "url", "sources", "suppressed",
)  # fmt: skip
_FIRST = ("title", "description", "version", "fixed_version", "vulnerable_range", "purl", "url")


def merge(finding: Finding, presences: Sequence[Presence], default_branch: str) -> bool:
    """Set what the open presences (with their streams) say together; returns whether anything differs from before."""
    before = [getattr(finding, name) for name in MERGED]
    ordered = sorted(presences, key=lambda one: (one.stream.ref != default_branch, one.stream.tool, one.stream.ref, one.stream.category))
    said = [one.reported for one in ordered if isinstance(one.reported, dict)]
    if not said:
        return False
    for name in _FIRST:
        setattr(finding, name, next((text for one in said if (text := one.get(name))), ""))
    # a place belongs to the report it was read in: path and line of one source, not of two
    finding.path, finding.line = said[0].get("path", ""), said[0].get("line")
    _merge_severity(finding, [one for one in said if not one.get("suppressed")] or said)
    finding.cwe = sorted({number for one in said for number in one.get("cwe", ())})
    finding.identifiers = sorted({tuple(pair) for one in said for pair in one.get("identifiers", ())})
    finding.identifiers = [list(pair) for pair in finding.identifiers]
    finding.sources = sorted({one.stream.tool for one in ordered})
    finding.suppressed = all(one.get("suppressed") for one in said)
    return before != [getattr(finding, name) for name in MERGED]


def _merge_severity(finding: Finding, said: Sequence[dict[str, Any]]) -> None:
    """Take the worst severity that a source gives, and the highest score."""
    worst = max(said, key=lambda one: rank(one.get("severity", "")))
    finding.severity, finding.severity_origin = worst.get("severity", "unknown"), worst.get("severity_origin", "")
    finding.severity_rank = rank(finding.severity)
    scored = max(said, key=lambda one: one.get("cvss_score") or -1.0)
    finding.cvss_score, finding.cvss_vector = scored.get("cvss_score"), scored.get("cvss_vector", "")


def join_findings(kept: uuid.UUID, gone: Collection[uuid.UUID], scan_id: uuid.UUID) -> None:
    """Make one finding of several: presences, names and decisions move to the one that is kept."""
    streams = set(Presence.objects.filter(finding_id=kept, closed_scan_id__isnull=True).values_list("stream_id", flat=True))
    for presence in Presence.objects.filter(finding_id__in=gone, closed_scan_id__isnull=True).order_by("id").only("id", "stream_id"):
        if presence.stream_id in streams:
            Presence.objects.filter(id=presence.id).update(closed_scan_id=scan_id)
        streams.add(presence.stream_id)
    models: tuple[type[Model], ...] = (Presence, FindingIdentifier, RiskAcceptance)
    for model in models:
        model._default_manager.filter(finding_id__in=gone).update(finding_id=kept)
    one, others = Finding.objects.get(id=kept), list(Finding.objects.filter(id__in=gone))
    one.triage = one.triage or next((other.triage for other in others if other.triage), Triage.NONE)
    one.opened_at = min((other.opened_at for other in (one, *others) if other.opened_at), default=None)
    one.save(update_fields=["triage", "opened_at"])
    Finding.objects.filter(id__in=gone).delete()
