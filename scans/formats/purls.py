"""Packages that a report names by their purl (https://github.com/package-url/purl-spec)."""

from __future__ import annotations

from typing import Any

from integrations.contract.reports import ReportedPackage
from scans.normal import purls

_SCHEME = "pkg:"


def package_of(purl: Any, manifest: str = "", fixed_version: str = "", vulnerable_range: str = "") -> ReportedPackage | None:
    """Return the package that a purl names, None for what is no purl."""
    found = purls.parse(purl) if isinstance(purl, str) and purl.startswith(_SCHEME) else None
    if found is None:
        return None
    return ReportedPackage(found.type, found.full_name, found.version, fixed_version, vulnerable_range, purl, manifest)
