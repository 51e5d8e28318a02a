"""Reading scans, findings and gates."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, QuerySet

from core.errors import NotFound
from integrations.models import Repository
from scans.categories import name_integrations
from scans.choices import ENDED, FindingState, ScanStatus, Severity, Triage
from scans.holding import holding
from scans.models import Finding, GateResult, Presence, RiskAcceptance, Scan, Stream

MOST_ACCOUNTS = 100
MOST_BROKEN = 100
_MOST_DECISIONS = 50


def shown_scans() -> QuerySet[Scan]:
    """Return the scans with their repositories and integrations, without credentials."""
    hidden = ("integration__credentials", "integration__previous_credentials", "integration__config")
    return Scan.objects.select_related("repository", "integration").defer(*hidden)


def shown_findings() -> QuerySet[Finding]:
    """Return the findings with their repositories; those of a scan that is not completed are not shown."""
    return Finding.objects.exclude(state=FindingState.STAGED).select_related("repository")


def counted(findings: QuerySet[Finding]) -> QuerySet[Finding]:
    """Return those that count: open on the default branch, neither triaged nor suppressed."""
    return findings.filter(state=FindingState.OPEN, triage=Triage.NONE, suppressed=False)


def with_cwe(findings: QuerySet[Finding], number: int) -> QuerySet[Finding]:
    """Return those of a weakness. No index serves it, which each new finding would pay for: ask within a repository."""
    return holding(findings, "cwe", number)


def from_source(findings: QuerySet[Finding], tool: str) -> QuerySet[Finding]:
    """Return those that a tool reports now: of the repositories about which it ever reported, so that a rare tool is found quickly."""
    return holding(findings.filter(repository_id__in=Stream.objects.filter(tool=tool).values("repository_id")), "sources", tool)


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
    """Return what was decided after a scan, and the first findings that broke it with their condition's number. Two statements."""
    result = GateResult.objects.filter(scan_id=scan.id).first()
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


def gate_of(repository: Repository, commit: str) -> tuple[GateResult | None, bool]:
    """Return the latest decision about a commit, and whether a scan of it is still going on. Raises NotFound for an unknown commit."""
    scans = Scan.objects.filter(repository=repository, commit=commit)
    if scans.exclude(status__in=ENDED).exists():
        return None, True
    result = GateResult.objects.filter(repository=repository, commit=commit).order_by("-id").first()
    if result is None and not scans.filter(status=ScanStatus.FAILED).exists():
        raise NotFound(f"No scan of commit {commit[:64]} is known for {repository.full_name}.", code="unknown_commit")
    return result, False


def gate_of_branch(repository: Repository) -> GateResult:
    """Return the latest decision about the default branch. Raises NotFound where there is none."""
    result = GateResult.objects.filter(repository=repository, ref=repository.default_branch).order_by("-id").first()
    if result is None:
        raise NotFound(f"No scan of {repository.full_name}'s branch {repository.default_branch} has ended yet.", code="no_gate")
    return result
