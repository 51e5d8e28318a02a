"""Decides the gate of a commit after one of its scans; the result names every finding that broke it."""

from __future__ import annotations

from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from scans.choices import FindingState, GateDecision, Triage
from scans.gates.conditions import DEFAULT, Among, Condition, load
from scans.models import Finding, GateResult, Policy, Presence, Scan
from scans.severities import rank

MOST_NAMED = 1000
"""So many findings are named in a result; all are counted."""


def decide(scan: Scan) -> GateResult:
    """Store what the repository's policy says of the scan's ref as it is now; call it in the transaction that completes the scan."""
    policy = policy_of(scan)
    conditions = load(policy.conditions) if policy else DEFAULT
    checked: list[dict[str, Any]] = []
    broken: list[dict[str, Any]] = []
    for number, condition in enumerate(conditions):
        found = breaking(scan, condition)
        count = found.count()
        fails = count > condition.most
        checked.append(condition.stored() | {"found": count, "passed": not fails, "sentence": condition.sentence()})
        if fails:
            worst = found.order_by("-severity_rank", "id").values_list("id", flat=True)[: MOST_NAMED - len(broken)]
            broken += [{"finding_id": str(id), "condition": number} for id in worst]
    failed = any(not one["passed"] for one in checked)
    return GateResult.objects.create(
        repository_id=scan.repository_id, scan_id=scan.id, ref=scan.ref, commit=scan.commit,
        decision=GateDecision.FAILED if failed else GateDecision.PASSED,
        policy_name=policy.name if policy else "built-in default", policy_version=policy.version if policy else 0,
        conditions=checked, broken_by=broken, broken_count=sum(one["found"] for one in checked if not one["passed"]),
    )  # fmt: skip


def policy_of(scan: Scan) -> Policy | None:
    """Return the policy of the scan's repository, else the default one, else None: then conditions.DEFAULT holds."""
    found = Policy.objects.filter(Q(repository_id=scan.repository_id) | Q(repository__isnull=True))
    return found.order_by(F("repository_id").desc(nulls_last=True)).first()


def breaking(scan: Scan, condition: Condition) -> QuerySet[Finding]:
    """Return the findings on the scan's ref that a condition counts. Suppressed and triaged ones never count."""
    here = Presence.objects.filter(finding_id=OuterRef("id"), stream__ref=scan.ref, closed_scan_id__isnull=True)
    found = Finding.objects.filter(Exists(here), repository_id=scan.repository_id, triage=Triage.NONE, suppressed=False)
    found = found.filter(severity_rank__gte=rank(condition.severity)).exclude(state=FindingState.STAGED)
    if condition.only_fixable:
        found = found.exclude(fixed_version="")
    if condition.kinds:
        found = found.filter(kind__in=condition.kinds)
    return found.filter(~Exists(_before(scan))) if condition.among == Among.NEW else found


def _before(scan: Scan) -> QuerySet[Presence]:
    """Return the presences that make a finding an old one.

    On a branch these are the default branch's; on the default branch those from before the scanned commit.
    """
    old = Presence.objects.filter(finding_id=OuterRef("id"), closed_scan_id__isnull=True)
    base = scan.repository.default_branch
    if scan.ref != base:
        return old.filter(stream__ref=base)
    same = Scan.objects.filter(repository_id=scan.repository_id)
    same = same.filter(commit=scan.commit) if scan.commit else same.filter(id=scan.id)
    return old.filter(stream__ref=base).exclude(first_scan_id__in=same.values("id"))
