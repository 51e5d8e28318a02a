"""Event types about scans, findings and gates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.event_types import EventType, Family

SEVERITIES = ["critical", "high", "medium", "low", "info", "unknown"]
_TEXT: dict[str, Any] = {"type": "string"}
_UUID: dict[str, Any] = {"type": "string", "format": "uuid"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_COMMIT = "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5"

_SCAN_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "scan_id": _UUID,
        "repository": _TEXT,
        "provider": _TEXT,
        "tool": _TEXT,
        "ref": _TEXT,
        "commit": _TEXT,
        "trigger": {"enum": ["upload", "event", "schedule", "api", "manual"]},
        "integration": {"type": ["string", "null"], "description": "Name of the integration that was read; null for an upload."},
        "status": {"enum": ["queued", "running", "completed", "partial", "failed"]},
        "new": _COUNT,
        "fixed": _COUNT,
        "reopened": _COUNT,
        "total": _COUNT,
        "by_severity": {"type": "object", "additionalProperties": _COUNT},
        "top_findings": {"type": "array", "items": {"type": "object"}, "description": "The worst five of the new ones."},
        "gate": {"enum": ["passed", "failed"]},
        "url": _TEXT,
    },
    "required": ["scan_id", "repository"],
}
_SCAN = {
    "scan_id": _ID,
    "repository": "acme/shop",
    "provider": "github",
    "tool": "snyk",
    "ref": "main",
    "commit": _COMMIT,
    "trigger": "event",
    "integration": "Snyk production",
    "url": f"https://repoguard.example.com/admin/scans/scan/{_ID}/change/",
}

_ONE_SCHEMA: dict[str, Any] = {
    "finding_id": _UUID,
    "title": _TEXT,
    "rule": _TEXT,
    "severity": {"enum": SEVERITIES},
    "cvss": {"type": ["number", "null"], "minimum": 0, "maximum": 10},
    "identifiers": {"type": "array", "items": _TEXT},
    "package": {"type": ["object", "null"]},
    "known_exploited": {"type": "boolean", "description": "In CISA's catalogue of known exploited vulnerabilities."},
    "epss": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "location": {"type": ["object", "null"]},
    "url": {"type": "string", "description": "Page of the portal about it."},
}
_FINDING_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        **_ONE_SCHEMA,
        "repository": _TEXT,
        "provider": _TEXT,
        "ref": _TEXT,
        "commit": _TEXT,
        "scan_id": {"type": ["string", "null"]},
        "count": {
            "type": "integer",
            "minimum": 1,
            "description": "How many findings this speaks of: the first named is the worst of them.",
        },
        "by_severity": {"type": "object", "additionalProperties": _COUNT},
        "findings": {"type": "array", "items": {"type": "object"}, "description": "The worst five of them."},
    },
    "required": ["finding_id", "repository", "title", "severity", "count"],
}
_ONE: dict[str, Any] = {
    "finding_id": _ID,
    "title": "Prototype pollution in lodash",
    "rule": "SNYK-JS-LODASH-567746",
    "severity": "high",
    "cvss": 7.4,
    "identifiers": ["CVE-2020-8203", "GHSA-p6mc-m468-83gw"],
    "package": {"ecosystem": "npm", "name": "lodash", "version": "4.17.15", "fixed_version": "4.17.20"},
    "known_exploited": False,
    "epss": 0.0313,
    "location": None,
    "url": f"https://repoguard.example.com/admin/scans/finding/{_ID}/change/",
}
_FINDING: dict[str, Any] = {
    "repository": "acme/shop",
    "provider": "github",
    "ref": "main",
    "commit": _COMMIT,
    "scan_id": _ID,
    **_ONE,
    "count": 1,
    "by_severity": {"high": 1},
    "findings": [_ONE],
}

_GATE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "repository": _TEXT,
        "provider": _TEXT,
        "scan_id": {"type": "string", "description": "The last scan of the ref when it was decided."},
        "commit": _TEXT,
        "ref": _TEXT,
        "result": {"enum": ["passed", "failed"]},
        "previous": {"enum": ["passed", "failed", None]},
        "cause": {"enum": ["scan", "triage", "time"], "description": "It was decided after a scan, after people decided, or with time."},
        "policy": _TEXT,
        "policy_version": _COUNT,
        "reasons": {"type": "array", "items": _TEXT, "description": "The conditions that it breaks, in plain words."},
        "broken_count": _COUNT,
        "counts": {
            "type": "object",
            "properties": {name: {"type": "object", "additionalProperties": _COUNT} for name in ("new", "all")},
            "description": "How many findings of the ref count, new ones and all, by severity.",
        },
        "findings": {"type": "array", "items": {"type": "object"}, "description": "The worst five that broke it."},
        "url": {"type": "string", "description": "Page of the portal about the scan."},
    },
    "required": ["repository", "result"],
}
_GATE = {
    "repository": "acme/shop",
    "provider": "github",
    "scan_id": _ID,
    "commit": _COMMIT,
    "ref": "main",
    "result": "passed",
    "previous": "passed",
    "cause": "scan",
    "policy": "Nothing new that is high",
    "policy_version": 3,
    "reasons": [],
    "broken_count": 0,
    "counts": {"new": {}, "all": {"medium": 12}},
    "findings": [],
    "url": f"https://repoguard.example.com/admin/scans/scan/{_ID}/change/",
}
_REASON = "no new findings of severity high or worse"
_BROKE_IT: dict[str, Any] = {
    "result": "failed",
    "reasons": [_REASON],
    "broken_count": 1,
    "counts": {"new": {"high": 1}, "all": {"high": 1, "medium": 12}},
    "findings": [{**_ONE, "condition": _REASON}],
}


_scan = Family("scan", _SCAN_SCHEMA, _SCAN, strict=True)


_finding = Family("finding", _FINDING_SCHEMA, _FINDING, strict=True)


_gate = Family("gate", _GATE_SCHEMA, _GATE, strict=True)


SINGLE = ".single"
"""Ends the name of the types that speak of one finding each."""
MOST_SINGLE = 1000


def _single(name: str, what: str) -> EventType:
    told = _finding(
        f"{name}{SINGLE}",
        f"Finding {name}, one by one",
        f"{what}, each in an event of its own: for whoever makes a ticket of each. The worst {MOST_SINGLE:,} of a scan; "
        f"finding.{name} says how many there are.",
    )
    return replace(told, by_name=True)


EVENT_TYPES = [
    _scan("started", "Scan started", "A scan of a repository began.", status="running"),
    _scan("completed", "Scan completed", "A scan ended and its findings are stored.", status="completed", new=2, fixed=5, total=37),
    _scan("failed", "Scan failed", "A scan could not be done.", status="failed", error="Snyk answered 401: the token was refused."),
    _finding(
        "opened", "Finding opened", "A scan reported findings that its ref did not have before; one event for a scan, with the worst five."
    ),
    _finding("fixed", "Finding fixed", "Findings are gone from every tool that reported them on this ref; one event for a scan."),
    _finding("reopened", "Finding reopened", "Findings that were fixed on the default branch are back; one event for a scan."),
    _single("opened", "Findings that their ref did not have before"),
    _single("fixed", "Findings that are gone from every tool that reported them on this ref"),
    _single("reopened", "Findings that were fixed and are back"),
    _finding(
        "accepted",
        "Risk accepted",
        "Somebody accepted the risk of a finding.",
        accepted_by="alice",
        until="2027-02-01",
        reason="not reachable",
    ),
    _finding("expired", "Risk acceptance expired", "An accepted risk ran out; the finding counts again.", accepted_by="alice"),
    _finding(
        "exploited",
        "Finding known to be exploited",
        "Open findings turned out to be in CISA's catalogue of known exploited vulnerabilities; one event for a repository and refresh.",
        known_exploited=True,
        epss=0.944,
    ),
    _gate("passed", "Gate passed", "A commit fulfils the repository's policy."),
    _gate("failed", "Gate failed", "A commit breaks the policy; `findings` names what broke it.", **_BROKE_IT),
    _gate(
        "changed",
        "Gate changed",
        "The gate of a branch went from passed to failed or back.",
        previous="passed",
        **_BROKE_IT,
    ),
]
