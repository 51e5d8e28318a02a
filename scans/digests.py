"""What a message tells of a finding."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings

from scans.models import Finding

TOP = 5
"""How many findings a message names: the worst of those that it counts."""


def short(finding: Finding) -> dict[str, Any]:
    """Return what a message needs of a finding."""
    return {
        "finding_id": str(finding.id),
        "title": finding.title,
        "rule": finding.rule,
        "severity": finding.severity,
        "cvss": finding.cvss_score,
        "identifiers": [value for _, value in finding.identifiers],
        "package": _package(finding),
        "known_exploited": finding.known_exploited,
        "epss": finding.epss,
        "location": {"path": finding.path, "line": finding.line} if finding.path else None,
        "url": page("finding", finding.id),
    }


def page(name: str, id: UUID) -> str:
    """Return the address of the portal's page about a scan or a finding."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/admin/scans/{name}/{id}/change/"


def _package(finding: Finding) -> dict[str, Any] | None:
    if not finding.package:
        return None
    names = {"ecosystem": "ecosystem", "name": "package", "version": "version", "fixed_version": "fixed_version"}
    return {name: getattr(finding, column) for name, column in names.items()}
