"""Badges, places and links that pages about findings share. What scanners wrote is hostile: all of it is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from access.admin_base import show
from integrations.models import Integration, Repository
from scans.choices import FindingState, GateDecision, ScanStatus, Severity, Triage
from scans.gates.sla import due_at
from scans.models import Finding, Scan
from scans.normal.identifiers import identifier
from scans.severities import WORST_FIRST

SEVERITIES = {
    Severity.CRITICAL: show.BAD,
    Severity.HIGH: show.BAD,
    Severity.MEDIUM: show.WARN,
    Severity.LOW: show.INFO,
    Severity.INFO: show.QUIET,
    Severity.UNKNOWN: show.QUIET,
}
STATUSES = {
    ScanStatus.QUEUED: show.QUIET,
    ScanStatus.RUNNING: show.INFO,
    ScanStatus.COMPLETED: show.GOOD,
    ScanStatus.PARTIAL: show.WARN,
    ScanStatus.FAILED: show.BAD,
}
_STATES = {FindingState.OPEN: show.WARN, FindingState.FIXED: show.GOOD, FindingState.BRANCH: show.INFO}
_LIKELY, _POSSIBLE, _SMALL = 0.5, 0.1, 0.01
# databases whose addresses follow from the name alone
_DATABASES = {"CVE": "https://nvd.nist.gov/vuln/detail/", "GHSA": "https://github.com/advisories/"}


def severity_badge(severity: str, origin: str = "") -> SafeString:
    """Return how bad it is, with where that comes from as the title."""
    tone = SEVERITIES.get(Severity(severity), show.QUIET) if severity in Severity.values else show.QUIET
    return show.badge(severity or Severity.UNKNOWN.value, tone, origin)


def state_badge(finding: Finding) -> SafeString:
    """Return whether it is there."""
    return show.badge(finding.get_state_display(), _STATES.get(FindingState(finding.state), show.QUIET))


def triage_badge(finding: Finding) -> SafeString:
    """Return what was decided, or that it does not count for another reason."""
    if finding.triage:
        return show.badge(Triage(finding.triage).label, show.GOOD)
    why = "Every scanner that reports it was told to leave it out."
    return show.badge("suppressed", show.QUIET, why) if finding.suppressed else show.NOTHING


def exploit_badges(finding: Finding) -> SafeString:
    """Return whether it is known to be exploited, and how likely that is; nothing where neither is known."""
    marks = []
    if finding.known_exploited:
        due = f", to be mended by {finding.exploited_due:%Y-%m-%d}" if finding.exploited_due else ""
        marks.append(show.badge("known exploited", show.BAD, f"In CISA's catalogue{due}."))
    if finding.epss is not None:
        tone = show.BAD if finding.epss >= _LIKELY else show.WARN if finding.epss >= _POSSIBLE else show.QUIET
        rank = f", more than {finding.epss_percentile:.1%} of all CVEs" if finding.epss_percentile is not None else ""
        marks.append(
            show.badge(epss_text(finding.epss), tone, f"Exploited within 30 days with a chance of {finding.epss:.2%}{rank} (EPSS).")
        )
    return format_html_join(" ", "{}", ((mark,) for mark in marks)) or show.NOTHING


def epss_text(epss: float) -> str:
    """Return a score as it stands in a mark."""
    return f"EPSS {epss:.2f}" if epss >= _SMALL else "EPSS < 0.01"


def due_badge(finding: Finding) -> SafeString:
    """Return the day by which it has to be fixed."""
    due = due_at(finding)
    if due is None:
        return show.NOTHING
    late = due < timezone.now()
    return show.badge(f"{due:%Y-%m-%d}", show.BAD if late else show.QUIET, "Overdue by the policy in force." if late else "By its policy.")


def gate_badge(decision: str) -> SafeString:
    """Return what the gate said."""
    return show.badge(GateDecision(decision).label, show.GOOD if decision == GateDecision.PASSED else show.BAD)


def title(finding: Finding, most: int = 500) -> str:
    """Return its title, or what else names it: a row without words could not be clicked."""
    return show.cut_line(str(finding), most)


def place(finding: Finding) -> str:
    """Return package@version, else path:line."""
    if finding.package:
        return f"{finding.package}@{finding.version}" if finding.version else finding.package
    return f"{finding.path}:{finding.line}" if finding.line else finding.path


def tools(names: Iterable[str]) -> SafeString:
    """Return scanners, each in a box that stays whole, so that a list of them may wrap."""
    return format_html_join(" ", '<span class="rg-nowrap">{}</span>', ((show.code(name),) for name in names)) or show.NOTHING


def counts(by_severity: Mapping[str, int]) -> SafeString:
    """Return the severities that occur with their numbers, worst first."""
    found = [(SEVERITIES[one], by_severity[one], one.label) for one in WORST_FIRST if by_severity.get(one)]
    return format_html_join(" ", '<span class="rg-badge rg-{}">{} {}</span>', found) or show.NOTHING


def repository_link(repository: Repository) -> SafeString:
    """Return the repository, as a link to its page."""
    return show.link(show.admin_url(Repository, "change", repository.pk), repository.full_name)


def source(scan: Scan) -> SafeString:
    """Return what a scan was read from, as a link to it."""
    if not scan.pulled:
        return format_html("{}", "upload")
    if scan.integration is None or scan.integration.deleted_at is not None:
        return format_html("{}", "a deleted integration")
    return show.link(show.admin_url(Integration, "change", scan.integration.pk), scan.integration.name)


def findings_of(repository: Repository) -> str:
    """Return the address of the list of a repository's findings that count."""
    return f"{show.admin_url(Finding, 'changelist')}?{urlencode({'q': repository.full_name})}"


def finding_url(finding: Finding) -> str:
    """Return the address of a finding's page."""
    return show.admin_url(Finding, "change", finding.pk)


def scan_url(id: object) -> str:
    """Return the address of a scan's page."""
    return show.admin_url(Scan, "change", id)


def outside(url: str, text: str) -> SafeString:
    """Return a link to another site, or the text alone where the address is none that a browser may follow."""
    if not url.lower().startswith(("https://", "http://")):
        return format_html("{}", text)
    return format_html('<a class="rg-link" href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, text)


def identifier_links(pairs: Iterable[Iterable[str]]) -> list[SafeString]:
    """Return names of the vulnerability, those of databases whose address is certain as links."""
    return [_identifier(*pair) for pair in pairs]


def _identifier(kind: str, value: str) -> SafeString:
    known = identifier(value)  # by its looks: a source may call anything a CVE
    base = _DATABASES.get(known[0], "") if known and known[1] == value else ""
    return outside(base and base + value, value)
