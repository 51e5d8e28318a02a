"""What pages of a report say of a finding, in words. What scanners wrote is hostile: each format escapes all of it."""

from __future__ import annotations

import re

from django.conf import settings

from scans.models import Finding
from scans.reports.overview import Overview
from scans.reports.rows import Row

MOST_IDENTIFIERS = 12
# letters that show nothing, steer a terminal, or turn the order of what stands around them
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_MOST_NAME = 100


def plain(text: str, most: int | None = None) -> str:
    """Return a text as one line without letters that nobody sees; a longer one than `most` ends in an ellipsis."""
    line = " ".join(_UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text).split())
    return line if most is None or len(line) <= most else f"{line[: most - 1]}…"


def title(finding: Finding, most: int | None = None) -> str:
    """Return its title, or what else names it."""
    return plain(str(finding), most)


def identifiers(finding: Finding) -> list[str]:
    """Return the names of the vulnerability, or the rule; the first ones where there are many."""
    names = [plain(str(value)) for _, value in finding.identifiers]
    if finding.rule and finding.rule not in names:
        names.append(plain(finding.rule))
    names += [f"CWE-{number}" for number in finding.cwe]
    return names if len(names) <= MOST_IDENTIFIERS else [*names[:MOST_IDENTIFIERS], "…"]


def package(finding: Finding) -> str:
    """Return package@version -> fixed version; nothing for a place in the code."""
    if not finding.package:
        return ""
    found = f"{finding.package}@{finding.version}" if finding.version else finding.package
    return plain(f"{found} → {finding.fixed_version}" if finding.fixed_version else found)


def place(finding: Finding) -> str:
    """Return path:line, or the manifest of a package."""
    return plain(f"{finding.path}:{finding.line}" if finding.line else finding.path)


def age(row: Row) -> str:
    """Return how long it is open, and by when the policy wants it fixed."""
    if not row.is_here:
        return f"fixed {row.finding.fixed_at:%Y-%m-%d}" if row.finding.fixed_at else "fixed"
    found = "" if row.age_days is None else f"{row.age_days} d"
    if row.due is None:
        return found
    return f"{found}, overdue since {row.due}" if row.overdue else f"{found}, due {row.due}"


def threat(finding: Finding) -> str:
    """Return what is known of attacks: the catalogue of exploited vulnerabilities, and the chance of being exploited."""
    found = []
    if finding.known_exploited:
        found.append(f"known exploited, due {finding.exploited_due}" if finding.exploited_due else "known exploited")
    if finding.epss is not None:
        found.append(f"EPSS {finding.epss:.1%}")
    return ", ".join(found)


def triage(row: Row, most: int | None = None) -> str:
    """Return what was decided, by whom, until when and why."""
    finding, decision = row.finding, row.decision
    if not finding.triage:
        return "suppressed: every scanner that reports it was told to leave it out" if finding.suppressed else ""
    label = str(finding.get_triage_display())
    if decision is None:
        return label
    until = f" until {decision.expires_at:%Y-%m-%d}" if decision.expires_at else ""
    return plain(f"{label}{until} by {decision.decided_by}: {decision.reason}", most)


def link(finding: Finding) -> str:
    """Return the address of its page in the portal."""
    return link_of(finding.pk)


def link_of(finding_id: object) -> str:
    """Return the address of the page of the finding with this id."""
    return f"{settings.PUBLIC_URL.rstrip('/')}/admin/scans/finding/{finding_id}/change/"


def heading(over: Overview) -> str:
    """Return what the report is called."""
    return plain(f"Findings of {over.scope.repository.full_name}")


def file_name(over: Overview, ending: str) -> str:
    """Return a name that every system and header takes."""
    parts = (over.scope.repository.full_name, over.scope.ref, "findings", f"{over.made_at:%Y-%m-%d}")
    clean = "-".join(part for part in (_UNSAFE.sub("-", one).strip("-.")[:_MOST_NAME] for one in parts) if part)
    return f"{clean}.{ending}"
