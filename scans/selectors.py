"""Reading scans, findings and gates."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, QuerySet

from integrations.models import Repository
from scans.categories import name_integrations
from scans.choices import FindingState, Severity, Triage
from scans.containing import containing
from scans.gates.sla import with_sla
from scans.models import Finding, GateResult, Presence, RiskAcceptance, Scan, Stream

MOST_ACCOUNTS = 100
MOST_BROKEN = 100
_MOST_DECISIONS = 50


def shown_scans() -> QuerySet[Scan]:
    """Return the scans with their repositories and integrations, without credentials."""
    hidden = ("integration__credentials", "integration__previous_credentials", "integration__config")
    return Scan.objects.select_related("repository", "integration").defer(*hidden)


def shown_findings() -> QuerySet[Finding]:
    """Return the findings with their repositories and SLAs; those of a scan that is not completed are not shown."""
    return with_sla(Finding.objects.exclude(state=FindingState.STAGED).select_related("repository"))


def counted(findings: QuerySet[Finding]) -> QuerySet[Finding]:
    """Return those that count: open on the default branch, neither triaged nor suppressed."""
    return findings.filter(state=FindingState.OPEN, triage=Triage.NONE, suppressed=False)


def with_cwe(findings: QuerySet[Finding], number: int) -> QuerySet[Finding]:
    """Return those of a weakness. No index serves it, which each new finding would pay for: ask within a repository."""
    return containing(findings, "cwe", number)


def from_source(findings: QuerySet[Finding], tool: str) -> QuerySet[Finding]:
    """Return those that a tool reports now: of the repositories about which it ever reported, so that a rare tool is found quickly."""
    return containing(findings.filter(repository_id__in=Stream.objects.filter(tool=tool).values("repository_id")), "sources", tool)


def on_ref(findings: QuerySet[Finding], ref: str) -> QuerySet[Finding]:
    """Return those that are there on a branch or other ref."""
    return findings.filter(Exists(Presence.objects.filter(finding_id=OuterRef("id"), stream__ref=ref, closed_scan_id__isnull=True)))


def accounts_of(finding: Finding) -> list[Presence]:
    """Return the latest accounts that scanners gave of a finding, without what they wrote."""
    found = list(Presence.objects.filter(finding_id=finding.id).select_related("stream").defer("raw").order_by("-id")[:MOST_ACCOUNTS])
    name_integrations(found)
    return found


def decisions_of(finding: Finding) -> list[RiskAcceptance]:
    """Return the latest decisions about a finding."""
    return list(RiskAcceptance.objects.filter(finding_id=finding.id).order_by("-id")[:_MOST_DECISIONS])


def gate_after(scan: Scan) -> tuple[GateResult | None, list[tuple[Finding, int]]]:
    """Return what was decided after a scan or anew since, and the first findings that broke it with their condition's number."""
    result = GateResult.objects.filter(scan_id=scan.id).order_by("-id").first()
    if result is None:
        return None, []
    broken: dict[str, int] = {}
    for one in result.broken_by:
        broken.setdefault(one["finding_id"], one["condition"])
    findings = shown_findings().filter(id__in=list(broken)[:MOST_BROKEN], repository_id=scan.repository_id).order_by("-severity_rank", "id")
    return result, [(one, broken[str(one.id)]) for one in findings]


def summary(repository: Repository, ref: str = "") -> dict[str, int]:
    """Return how many findings count, by severity: on the default branch, or on another ref. One statement."""
    mine = Finding.objects.filter(repository=repository)
    if ref and ref != repository.default_branch:
        found = on_ref(mine.filter(triage=Triage.NONE, suppressed=False).exclude(state=FindingState.STAGED), ref)
    else:
        found = counted(mine)
    counts = dict(found.order_by().values_list("severity").annotate(count=Count("id")))
    return {severity: counts.get(severity, 0) for severity in Severity.values}
