"""The report as CycloneDX 1.6 VEX: what is vulnerable, and what people decided about it (docs/reports.md says which state is which)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson

from scans.choices import Kind, Triage
from scans.models import Finding
from scans.reports.json_parts import joined
from scans.reports.overview import Overview
from scans.reports.rows import Row, rows
from scans.reports.texts import link

_HIDDEN = "Every scanner that reports it was told to leave it out; why, they do not say."
_SOURCES = {
    "CVE": ("NVD", "https://nvd.nist.gov/vuln/detail/"),
    "GHSA": ("GitHub Advisories", "https://github.com/advisories/"),
    "SNYK": ("Snyk", "https://security.snyk.io/vuln/"),
}
_METHODS = {"CVSS:3.0/": "CVSSv3", "CVSS:3.1/": "CVSSv31", "CVSS:4.0/": "CVSSv4"}
# not_affected needs a justification that says why it is not, and nobody gives one by ignoring a finding: it stays exploitable, unmended
_STATES = {Triage.ACCEPTED: "exploitable", Triage.IGNORED: "exploitable", Triage.FALSE_POSITIVE: "false_positive"}
Said = dict[str, Any]


def parts(over: Overview) -> Iterator[bytes]:
    """Yield the file in pieces: the findings are read twice, so that no more than the names of their packages is remembered."""
    over = replace(over, scope=replace(over.scope, kind=Kind.DEPENDENCY.value))
    serial = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{uuid.uuid4()}", "version": 1}
    yield orjson.dumps(serial | {"metadata": _metadata(over)})[:-1] + b', "components": [\n'
    seen: set[str] = set()
    yield from joined(_component(row.finding) for row in _rows(over) if _is_first(reference(row.finding), seen))
    yield b'\n], "vulnerabilities": [\n'
    yield from joined(_vulnerability(row) for row in _rows(over))
    yield b"\n]}\n"


def _rows(over: Overview) -> Iterator[Row]:
    return rows(over.scope, over.clock, over.listed)


def _is_first(name: str, seen: set[str]) -> bool:
    if name in seen:
        return False
    seen.add(name)
    return True


def _metadata(over: Overview) -> Said:
    scope = over.scope
    about = {
        "type": "application",
        "bom-ref": f"repository:{scope.repository.pk}",
        "name": scope.repository.full_name,
        "version": scope.ref,
    }
    tool = {"type": "application", "name": "RepoGuard"}
    return {"timestamp": _time(over.made_at), "tools": {"components": [tool]}, "component": about | {"version": scope.ref}}


def reference(finding: Finding) -> str:
    """Return what a package is pointed to by: its purl where it has one."""
    return finding.purl or f"package:{finding.ecosystem}:{finding.package}@{finding.version}"


def _component(finding: Finding) -> Said:
    found = {"type": "library", "bom-ref": reference(finding), "name": finding.package, "version": finding.version, "purl": finding.purl}
    return {name: value for name, value in found.items() if value}


def _vulnerability(row: Row) -> Said:
    finding = row.finding
    names = sorted(finding.identifiers, key=lambda pair: (pair[0] not in _SOURCES, pair))
    id = str(names[0][1]) if names else finding.rule or str(finding.pk)
    found: Said = {
        "bom-ref": f"finding:{finding.pk}",
        "id": id,
        "references": [{"id": value, "source": _source(kind, value)} for kind, value in names[1:]],
        "ratings": [_rating(finding)],
        "cwes": finding.cwe,
        "description": finding.title,
        "detail": finding.description,
        "recommendation": f"Upgrade {finding.package} to {finding.fixed_version}" if finding.fixed_version else "",
        "advisories": [{"url": finding.url}] if finding.url else [],
        "affects": [{"ref": reference(finding)}],
        "analysis": _analysis(row),
        "properties": [{"name": f"repoguard:{name}", "value": value} for name, value in _properties(row)],
    }
    if names:
        found["source"] = _source(*names[0])
    return {name: value for name, value in found.items() if value}


def _analysis(row: Row) -> Said:
    finding, decision = row.finding, row.decision
    if not row.is_here:
        return {"state": "resolved", "response": ["update"]} if finding.fixed_version else {"state": "resolved"}
    if not finding.triage:
        return {"state": "in_triage", **({"detail": _HIDDEN} if finding.suppressed else {})}
    state = _STATES[Triage(finding.triage)]
    found: Said = {"state": state, **({"response": ["will_not_fix"]} if state == "exploitable" else {})}
    if decision:
        until = f" until {decision.expires_at:%Y-%m-%d}" if decision.expires_at else ""
        found["detail"] = f"{finding.get_triage_display()}{until} by {decision.decided_by}: {decision.reason}"
        found["firstIssued"] = _time(decision.created_at)
    return found


def _rating(finding: Finding) -> Said:
    found: Said = {"severity": finding.severity}
    if finding.cvss_score is not None:
        found["score"] = finding.cvss_score
    if finding.cvss_vector:
        found |= {"method": _METHODS.get(finding.cvss_vector[:9], "CVSSv2"), "vector": finding.cvss_vector}
    return found


def _properties(row: Row) -> Iterator[tuple[str, str]]:
    finding = row.finding
    yield "link", link(finding)
    yield from (("source", str(one)) for one in finding.sources)
    if finding.path:
        yield "path", finding.path
    if finding.known_exploited:
        yield "known_exploited", "true"
    if finding.epss is not None:
        yield "epss", str(finding.epss)


def _source(kind: str, value: str) -> Said:
    name, base = _SOURCES.get(kind, (kind, ""))
    return {"name": name, "url": base + value} if base else {"name": name}


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
