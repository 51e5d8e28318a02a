"""The report as SARIF 2.1.0: a run for what each tool says of each category, as that tool says it (docs/reports.md)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
from django.utils.encoding import iri_to_uri

from scans.choices import Kind, Severity
from scans.models import Finding, Presence, Stream
from scans.reports.json_parts import joined
from scans.reports.overview import Overview
from scans.reports.rows import BATCH, decisions_about
from scans.reports.scope import Scope, narrowing
from scans.reports.texts import link

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
IDENTITY = "repoguardIdentity/v1"
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note", Severity.INFO: "note"}
# in the middle of each band, for findings without a score of their own band; info and unknown have none
_SCORES = {Severity.CRITICAL: 9.5, Severity.HIGH: 8.0, Severity.MEDIUM: 5.5, Severity.LOW: 2.0}
_FLOORS = {Severity.CRITICAL: 9.0, Severity.HIGH: 7.0, Severity.MEDIUM: 4.0, Severity.LOW: 0.1}
_CEILINGS = {Severity.CRITICAL: 10.1, Severity.HIGH: 9.0, Severity.MEDIUM: 7.0, Severity.LOW: 4.0}
_LONGEST_RULE_TEXT = 1000
_HIDDEN = "Every scanner that reports it was told to leave it out."
Said = dict[str, Any]
_TEXTS = ("kind", "rule", "title", "description", "severity", "path", "purl", "url")
_NOTHING: Said = dict.fromkeys(_TEXTS, "") | {"cvss_score": None, "line": None, "suppressed": False, "cwe": [], "identifiers": []}


def parts(over: Overview) -> Iterator[bytes]:
    """Yield the file in pieces."""
    yield b'{"$schema": ' + orjson.dumps(SCHEMA) + b', "version": "2.1.0", "runs": ['
    for number, stream in enumerate(over.streams):
        yield b",\n" if number else b"\n"
        yield from _run(over.scope, stream)
    yield b"\n]}\n"


def _run(scope: Scope, stream: Stream) -> Iterator[bytes]:
    """Yield a run: read twice, so that no more than the names of its rules is remembered."""
    known: dict[str, int] = {}
    yield b'{"tool": {"driver": {"name": ' + orjson.dumps(stream.tool) + b', "rules": [\n'
    accounts = (_said(one) for batch in _batches(scope, stream) for one in batch)
    yield from joined(_rule(said) for said in accounts if _is_first(said["rule"], known))
    about = {"repository": scope.repository.full_name, "ref": scope.ref, "commit": stream.last_commit}
    category = {"id": f"{stream.category}/"} if stream.category else None
    yield b"]}}, " + (b'"automationDetails": ' + orjson.dumps(category) + b", " if category else b"")
    yield b'"columnKind": "unicodeCodePoints", "properties": ' + orjson.dumps(about) + b', "results": [\n'
    yield from joined(_results(scope, stream, known))
    yield b"]}"


def _is_first(rule: str, known: dict[str, int]) -> bool:
    if not rule or rule in known:
        return False
    known[rule] = len(known)
    return True


def _batches(scope: Scope, stream: Stream) -> Iterator[list[Presence]]:
    """Yield what the stream reports now, in the order of an index; what is joined to it would be read from its beginning each time."""
    there = Presence.objects.filter(narrowing(scope, "finding__"), stream=stream, closed_scan_id__isnull=True)
    there = there.only("finding_id", "reported").order_by("finding_id")
    batch = list(there[:BATCH])
    while batch:
        yield batch
        batch = list(there.filter(finding_id__gt=batch[-1].finding_id)[:BATCH]) if len(batch) == BATCH else []


def _results(scope: Scope, stream: Stream, known: dict[str, int]) -> Iterator[Said]:
    for batch in _batches(scope, stream):
        findings = Finding.objects.defer("description").in_bulk([one.finding_id for one in batch])
        decisions = decisions_about(findings.values())
        for one in batch:
            if finding := findings.get(one.finding_id):
                decision = decisions.get(finding.id)
                yield _result(finding, _said(one), known, decision.reason if decision else "")


def _said(presence: Presence) -> Said:
    """Return what the tool itself says; the finding is what all tools say together."""
    return _NOTHING | (presence.reported if isinstance(presence.reported, dict) else {})


def _rule(said: Said) -> Said:
    title = said["title"] or said["rule"]
    properties: Said = {"tags": _tags(said)}
    if score := _score(said):
        properties["security-severity"] = score
    rule: Said = {
        "id": said["rule"],
        "shortDescription": {"text": title[:_LONGEST_RULE_TEXT]},
        "fullDescription": {"text": (said["description"] or title)[:_LONGEST_RULE_TEXT]},
        "defaultConfiguration": {"level": _level(said)},
        "properties": properties,
    }
    if uri := _uri(said["url"]):
        rule["helpUri"] = uri
    if said["kind"] == Kind.DEPENDENCY:  # where osv-scanner has the vulnerability's other names: SARIF has no place for them
        rule["deprecatedIds"] = sorted({str(value) for _, value in said["identifiers"]} - {said["rule"]})
    return rule


def _result(finding: Finding, said: Said, known: dict[str, int], reason: str) -> Said:
    result: Said = {
        "level": _level(said),
        "message": {"text": said["description"] or said["title"] or said["rule"] or "Its scanner gave no title."},
        "partialFingerprints": {IDENTITY: finding.identity.hex},
        "suppressions": _suppressions(finding, said, reason),
        "properties": _properties(finding, said),
    }
    if said["rule"]:
        result["ruleId"] = said["rule"]
        if said["rule"] in known:
            result["ruleIndex"] = known[said["rule"]]
    if said["path"]:
        place: Said = {"artifactLocation": {"uri": quote(said["path"]), "uriBaseId": "%SRCROOT%"}}
        if said["line"]:
            place["region"] = {"startLine": said["line"]}
        result["locations"] = [{"physicalLocation": place}]
    if finding.opened_at:
        result["provenance"] = {"firstDetectionTimeUtc": f"{finding.opened_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"}
    return result


def _properties(finding: Finding, said: Said) -> Said:
    found: Said = {"severity": said["severity"], "tags": _tags(said), "link": link(finding)}
    if score := _score(said):
        found["security-severity"] = score
    if said["purl"]:
        found["purl"] = said["purl"]
    if finding.fixed_version:
        found["fixedVersion"] = finding.fixed_version
    if finding.known_exploited:
        found["knownExploited"] = True
    if finding.epss is not None:
        found["epss"] = finding.epss
    return found


def _suppressions(finding: Finding, said: Said, reason: str) -> list[Said]:
    why = [f"{finding.get_triage_display()}: {reason}"] if finding.triage else []
    why += [_HIDDEN] if said["suppressed"] else []
    return [{"kind": "external", "status": "accepted", "justification": one} for one in why]


def _tags(said: Said) -> list[str]:
    kind = {Kind.SECRET: ["secret"], Kind.DEPENDENCY: ["vulnerability"]}.get(said["kind"], [])
    return ["security", *kind, *(f"external/cwe/cwe-{number:03}" for number in said["cwe"])]


def _level(said: Said) -> str:
    return _LEVELS.get(said["severity"], "warning")


def _score(said: Said) -> str:
    """Return a score of the severity's own band: whoever reads it gets that severity, also where a vendor rated lower than CVSS."""
    severity = said["severity"]
    if severity not in _SCORES:
        return ""
    score = said["cvss_score"]
    inside = isinstance(score, int | float) and _FLOORS[severity] <= score < _CEILINGS[severity]
    return f"{score if inside else _SCORES[severity]:.1f}"


def _uri(address: str) -> str:
    """Return an address as SARIF wants it, nothing for what is none."""
    try:
        return iri_to_uri(address) if address and urlsplit(address).hostname else ""
    except ValueError:
        return ""
