"""The page that compares a scan with another of its repository."""

from __future__ import annotations

from typing import Any

from core.errors import RepoGuardError
from core.ids import is_uuid
from scans.admin import words
from scans.comparing import Change, comparable, compare_scans, scan_before
from scans.models import Finding, Scan
from scans.selectors import shown_scans

_MOST_SHOWN = 50
_HEADINGS = {Change.NEW: "New", Change.GONE: "Gone"}


def diff_of(scan: Scan, base_id: str) -> dict[str, Any]:
    """Return what the page shows; without a base that of the scan before, where there is one."""
    others = comparable(scan)
    wanted = shown_scans().filter(repository_id=scan.repository_id, id=base_id).first() if is_uuid(base_id) else scan_before(scan)
    context = {
        "scan": scan,
        "scan_url": words.scan_url(scan.pk),
        "chosen": str(wanted.pk) if wanted else "",
        "others": [(str(one.pk), _named(one)) for one in others],
        "this": _named(scan),
    }
    if wanted is None:
        return context
    try:
        compared = compare_scans(scan, wanted)
    except RepoGuardError as error:
        return context | {"refusal": error.message}
    counts = compared.counts()
    totals = {change: sum(numbers.values()) for change, numbers in counts.items()}
    sections = [
        (heading, totals[change], words.counts(counts[change]), [_line(one) for one in compared.top(change, _MOST_SHOWN)])
        for change, heading in _HEADINGS.items()
    ]
    return context | {"totals": totals, "sections": sections, "tools": compared.tools, "base": _named(wanted)}


def _named(scan: Scan) -> str:
    commit = f", commit {scan.commit[:10]}" if scan.commit else ""
    return f"{scan.created_at:%Y-%m-%d %H:%M}: {', '.join(scan.tools) or 'no tool'} on {scan.ref}{commit}"


def _line(finding: Finding) -> tuple[Any, ...]:
    return (
        words.severity_badge(finding.severity),
        words.finding_url(finding),
        words.title(finding, 200),
        words.place(finding),
        words.triage_badge(finding),
    )
