"""Decides the gate of a commit: after one of its scans, and anew when what was decided may not hold any more."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from scans.choices import GateCause, GateDecision
from scans.gate_events import announce_gate
from scans.gates import facts
from scans.gates.facts import MOST_GROUPS, Facts
from scans.gates.plans import read_whole
from scans.gates.policy import InForce, in_force
from scans.gates.reading import Findings, Subject
from scans.locking import locked
from scans.models import GateFacts, GateResult, Scan

MOST_NAMED = 1000
"""So many findings are named in a result; all are counted."""
_SAYS = ("decision", "conditions", "broken_by", "policy_name")


def decide(scan: Scan) -> GateResult:
    """Store what the repository's policy says of the scan's ref as it is now; call it in the transaction that completes the scan."""
    subject = Subject(scan.repository, scan.ref, scan.commit, scan.id)
    result, found = _judged(subject, in_force(scan.repository_id), timezone.now(), GateCause.SCAN)
    result.save(force_insert=True)
    if len(found.groups) <= MOST_GROUPS:
        GateFacts.objects.create(result=result, repository_id=scan.repository_id, data=found.pack())
    return result


def decide_again(repository_id: uuid.UUID, ref: str, cause: GateCause) -> GateResult | None:
    """Store and announce what is said of a ref now, if that is another thing than what was decided last; None if it is not.

    It waits for a scan of the repository that is being written.
    """
    with transaction.atomic():
        repository = locked(repository_id)
        last = GateResult.objects.filter(repository_id=repository_id, ref=ref).order_by("-id").first()
        if repository is None or last is None:
            return None
        subject = Subject(repository, ref, last.commit, last.scan_id)
        result, _ = _judged(subject, in_force(repository_id), timezone.now(), cause)
        if all(getattr(last, name) == getattr(result, name) for name in _SAYS):
            return None
        result.save(force_insert=True)
        if result.decision != last.decision:
            announce_gate(repository, result, str(last.decision))
    return result


def _judged(subject: Subject, policy: InForce, at: datetime, cause: GateCause) -> tuple[GateResult, Facts]:
    findings = Findings(subject)
    with read_whole():
        there = findings.facts(at)
        checked, broken = _checked(findings, policy, there)
    failed = [one["found"] for one in checked if not one["passed"]]
    result = GateResult(
        repository_id=subject.repository.id, scan_id=subject.scan_id, ref=subject.ref, commit=subject.commit, cause=cause.value,
        decision=(GateDecision.FAILED if failed else GateDecision.PASSED).value, policy_name=policy.name, policy_version=policy.version,
        conditions=checked, broken_by=broken, broken_count=sum(failed), counts=there.counts(), created_at=at,
    )  # fmt: skip
    return result, there


def _checked(findings: Findings, policy: InForce, there: Facts) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return each condition with what it found, and the findings that break one; these are asked for only where there are some."""
    broken: list[dict[str, Any]] = []
    counts = facts.found(policy.conditions, policy.sla_days, there)
    for number, (condition, count) in enumerate(zip(policy.conditions, counts, strict=True)):
        left = MOST_NAMED - len(broken)
        if count > condition.most and left:
            rows = findings.breaking(condition, policy.sla_days, there.at).order_by("-severity_rank", "id")
            broken += [{"finding_id": str(id), "condition": number} for id in rows.values_list("id", flat=True)[:left]]
    checked = [
        condition.stored() | {"found": count, "passed": count <= condition.most, "sentence": condition.sentence()}
        for condition, count in zip(policy.conditions, counts, strict=True)
    ]
    return checked, broken
