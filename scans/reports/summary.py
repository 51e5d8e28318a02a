"""The lines above the findings, the same in every document for people."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from django.conf import settings

from scans.categories import shown_category
from scans.models import GateResult
from scans.reports.overview import Overview, new_means
from scans.reports.scope import PARAMETERS, Shown
from scans.reports.texts import plain

_MOST_SCANS = 20


def facts(over: Overview) -> Iterator[tuple[str, str]]:
    """Yield a label and what stands beside it."""
    scope = over.scope
    yield "Repository", f"{plain(scope.repository.full_name)} ({scope.repository.get_provider_display()})"
    yield "Ref", f"{plain(scope.ref)}{', the default branch' if scope.is_default else ''}"
    yield "Made", f"{over.made_at:%Y-%m-%d %H:%M} UTC"
    for one in over.streams[:_MOST_SCANS]:
        by = over.integrations[one.category]
        name = plain(" ".join(part for part in (one.tool, shown_category(one.category), f"by {by}" if by else "") if part))
        at = f", {one.last_at:%Y-%m-%d %H:%M} UTC" if one.last_at else ""
        yield "Last scan", f"{name}: {f'commit {one.last_commit}' if one.last_commit else 'no commit given'}{at}"
    if len(over.streams) > _MOST_SCANS:
        yield "Last scan", f"and {len(over.streams) - _MOST_SCANS} more"
    if not over.streams:
        yield "Last scan", "no scanner has reported about this ref yet, so an empty report says nothing"
    yield "Listed", "; ".join([f"findings {Shown(scope.state).label}{_since(over)}", *scope.narrowed()])


def _since(over: Overview) -> str:
    return "" if over.scope.state == Shown.OPEN else f" {over.scope.since:%Y-%m-%d}"


def gate_about(gate: GateResult) -> str:
    """Return what the gate was decided by, and about."""
    commit = f" of commit {gate.commit}" if gate.commit else ""
    return plain(f"By the policy “{gate.policy_name}”{commit}, {gate.created_at:%Y-%m-%d %H:%M} UTC.")


def gate_lines(gate: GateResult) -> Iterator[tuple[str, str]]:
    """Yield each condition of the policy, and whether it was kept."""
    for one in gate.conditions:
        yield "kept" if one["passed"] else "broken", f"{one['sentence']}: {one['found']} found"


def columns(over: Overview) -> dict[str, str]:
    """Return the headings of the table of counts."""
    return {
        "open": "Open", "new": f"New ({new_means(over.scope)})", "accepted": "Risk accepted", "other": "False positive, ignored",
        "suppressed": "Suppressed", "fixed": f"Fixed since {over.scope.since:%Y-%m-%d}",
    }  # fmt: skip


def more_sentence(over: Overview, most: int) -> str:
    """Return where the findings are that the document has no room for."""
    scope = over.scope
    given = {name: getattr(scope, name) for name in PARAMETERS} | {"since": f"{scope.since:%Y-%m-%d}", "report_format": "csv"}
    given["suppressed"] = "" if scope.suppressed is None else str(scope.suppressed).lower()
    query = urlencode({name: value for name, value in given.items() if value})
    base = settings.PUBLIC_URL.rstrip("/")
    return (
        f"And {over.total - most:,} more: the {most:,} worst are above. The CSV has all: "
        f"{base}/api/v1/repositories/{scope.repository.pk}/report?{query}"
    )
