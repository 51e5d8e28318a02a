"""Reports without files: findings as scanners report them, and writing them as a worker would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from integrations.models import Repository
from scans.formats.base import Item, Section
from scans.ingest.reading import read_report
from scans.ingest.settling import Written
from scans.ingest.writing import write_report
from scans.models import Scan


def repository(name: str = "acme/shop", **values: Any) -> Repository:
    return Repository.objects.create(provider="github", full_name=name, **values)


def code(
    rule: str = "sql-injection", path: str = "src/db.py", line: int = 7, mark: str = "0123456789abcdef", **values: Any
) -> ReportedFinding:
    """A finding about a place, with a fingerprint of its scanner's."""
    given: dict[str, Any] = {"title": f"{rule} here", "severity": "high", "fingerprints": {"primaryLocationLineHash": f"{mark}:1"}}
    return ReportedFinding(source_id=rule, rule=rule, locations=(ReportedLocation(path, line),), **(given | values))


def vulnerable(
    *names: str, package: str = "lodash", version: str = "4.17.15", severity: str = "high", ecosystem: str = "npm", **values: Any
) -> ReportedFinding:
    """A vulnerable package, known by these names; the first is the scanner's own id."""
    about = ReportedPackage(
        ecosystem, package, version, fixed_version=values.pop("fixed", ""), vulnerable_range=values.pop("within", ""),
        manifest=values.pop("manifest", ""),
    )  # fmt: skip
    named = tuple((name.split("-")[0], name) for name in names)
    return ReportedFinding(
        source_id=names[0], rule=names[0], title=f"Flaw in {package}", severity=severity, identifiers=named, package=about, **values
    )


def items(tool: str, findings: Sequence[ReportedFinding], category: str = "") -> list[Item]:
    return [Section(tool, category=category), *findings]


def ingest(
    to: Repository, tool: str, findings: Sequence[ReportedFinding] = (), *, ref: str = "main", category: str = "", commit: str = "",
    complete: bool = True, more: Sequence[Item] = (),
) -> Written:  # fmt: skip
    """Write what a tool reports, and return what that changed."""
    scan = Scan.objects.create(repository=to, ref=ref, commit=commit, complete=complete)
    report = read_report([*items(tool, findings, category), *more], to.id)
    try:
        return write_report(scan, report, lambda written: None)
    finally:
        report.spool.close()
