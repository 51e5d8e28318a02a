"""The report as a table: one line for each finding."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core import csv_cells
from scans.reports.overview import Overview
from scans.reports.rows import Row, rows
from scans.reports.texts import link

HEADER = (
    "id", "severity", "title", "kind", "state", "identifiers", "cwe", "ecosystem", "package", "version", "fixed_version", "purl", "path",
    "line", "rule", "sources", "cvss_score", "cvss_vector", "known_exploited", "exploited_due", "epss", "epss_percentile", "opened_at",
    "fixed_at", "age_days", "sla_due", "sla_overdue", "triage", "triage_reason", "triage_by", "triage_expires_at", "suppressed", "url",
    "link",
)  # fmt: skip


def parts(over: Overview) -> Iterator[bytes]:
    """Yield the file, a line at a time."""
    return (line.encode() for line in csv_cells.lines(_table(over)))


def _table(over: Overview) -> Iterator[tuple[Any, ...]]:
    yield HEADER
    for row in rows(over.scope, over.clock, over.listed):
        yield _line(row)


def _line(row: Row) -> tuple[Any, ...]:
    one, decision = row.finding, row.decision
    return (
        one.id, one.severity, one.title, one.kind, row.state, " ".join(str(value) for _, value in one.identifiers),
        " ".join(f"CWE-{number}" for number in one.cwe), one.ecosystem, one.package, one.version, one.fixed_version, one.purl, one.path,
        one.line, one.rule, " ".join(one.sources), one.cvss_score, one.cvss_vector, one.known_exploited, one.exploited_due, one.epss,
        one.epss_percentile, _time(one.opened_at), _time(one.fixed_at), row.age_days, row.due, row.overdue, one.triage,
        decision.reason if decision else "", decision.decided_by if decision else "", _time(decision.expires_at if decision else None),
        one.suppressed, one.url, link(one),
    )  # fmt: skip


def _time(moment: Any) -> str:
    return moment.isoformat() if moment else ""
