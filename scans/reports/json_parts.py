"""The report as JSON: what stands above the findings, then the findings, one to a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from scans.categories import shown_category
from scans.models import Finding
from scans.reports.overview import Overview, new_means
from scans.reports.rows import Row, rows
from scans.reports.texts import link

_PLAIN = (
    "id", "kind", "severity", "severity_origin", "title", "description", "rule", "tool", "sources", "cwe", "cvss_score", "cvss_vector",
    "ecosystem", "package", "version", "fixed_version", "vulnerable_range", "purl", "path", "line", "url", "known_exploited",
    "exploited_due", "epss", "epss_percentile", "suppressed", "opened_at", "fixed_at",
)  # fmt: skip
_GATE = ("decision", "scan_id", "ref", "commit", "policy_name", "policy_version", "conditions", "broken_count", "created_at")


def parts(over: Overview) -> Iterator[bytes]:
    """Yield the file in pieces."""
    yield b'{"report": ' + orjson.dumps(head(over)) + b',\n"findings": [\n'
    yield from joined(finding_json(row) for row in rows(over.scope, over.clock, over.listed))
    yield b"\n]}\n"


def joined(objects: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Yield the entries of a list with commas between them."""
    comma = b""
    for one in objects:
        yield comma + orjson.dumps(one)
        comma = b",\n"


def head(over: Overview) -> dict[str, Any]:
    """Return what stands above the findings."""
    scope = over.scope
    return {
        "repository": {"id": scope.repository.id, "provider": scope.repository.provider, "full_name": scope.repository.full_name},
        "ref": scope.ref,
        "made_at": over.made_at,
        "state": scope.state,
        "narrowed_to": scope.narrowed(),
        "since": scope.since,
        "new_means": new_means(scope),
        "scans": [
            {
                "tool": one.tool,
                "category": shown_category(one.category),
                "integration": over.integrations[one.category],
                "scan_id": one.last_scan_id,
                "commit": one.last_commit,
                "at": one.last_at,
            }
            for one in over.streams
        ],
        "gate": {name: getattr(over.gate, name) for name in _GATE} if over.gate else None,
        "by_severity": over.counts,
        "total": over.total,
    }


def finding_json(row: Row) -> dict[str, Any]:
    """Return a finding with the decision about it."""
    finding: Finding = row.finding
    decision = row.decision
    return {
        **{name: getattr(finding, name) for name in _PLAIN},
        "identifiers": finding.identifiers,
        "state": row.state,
        "age_days": row.age_days,
        "sla_due": row.due,
        "sla_overdue": row.overdue,
        "triage": finding.triage,
        "decision": {
            name: getattr(decision, name) for name in ("reason", "decided_by", "expires_at", "created_at")
        } if decision else None,
        "link": link(finding),
    }  # fmt: skip
