"""What people decide about findings: a risk accepted until a day, a false positive, a thing to ignore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import context
from core.errors import Conflict, InvalidInput
from scans.announcing import announce_decision
from scans.choices import Triage
from scans.gates import checks
from scans.models import Finding, RiskAcceptance

MAX_REASON = 2000


@dataclass(frozen=True)
class Decision:
    """A decision about a finding; without `expires_at` it holds until it is taken back."""

    triage: str
    reason: str
    expires_at: datetime | None = None


def decide(finding: Finding, decision: Decision) -> Finding:
    """Decide about a finding, in place of what was decided before; it then no longer counts. Raises InvalidInput and Conflict."""
    reason = _checked(decision)
    now = timezone.now()
    with transaction.atomic():
        row = _locked(finding)
        RiskAcceptance.objects.filter(finding=row, ended_at__isnull=True).update(ended_at=now)
        RiskAcceptance.objects.create(
            finding=row, triage=decision.triage, reason=reason, expires_at=decision.expires_at, decided_by=context.actor().label[:200]
        )
        before, row.triage, row.updated_at = row.triage, decision.triage, now
        row.save(update_fields=["triage", "updated_at"])
        changes = {"triage": [before, decision.triage], "reason": ["", reason]}
        audit.record(AuditVerb.CHANGED, row, changes=changes, owner_id=row.repository.owner_id)
        checks.ask([row.id])
        if decision.triage == Triage.ACCEPTED:
            announce_decision("finding.accepted", [row], accepted_by=context.actor().label, reason=reason, until=_day(decision.expires_at))
    return row


def take_back(finding: Finding) -> Finding:
    """Have a finding count again. Raises Conflict when nothing was decided about it."""
    now = timezone.now()
    with transaction.atomic():
        row = _locked(finding)
        if not row.triage:
            raise Conflict("Nothing was decided about this finding.", code="not_triaged")
        RiskAcceptance.objects.filter(finding=row, ended_at__isnull=True).update(ended_at=now)
        before, row.triage, row.updated_at = row.triage, Triage.NONE, now
        row.save(update_fields=["triage", "updated_at"])
        audit.record(AuditVerb.CHANGED, row, changes={"triage": [before, ""]}, owner_id=row.repository.owner_id)
        checks.ask([row.id])
    return row


def expire(limit: int) -> int:
    """End decisions whose day has come, so that their findings count again, and tell of them; returns how many were ended."""
    now = timezone.now()
    with transaction.atomic():
        due = RiskAcceptance.due().select_for_update(skip_locked=True)
        decisions = list(due.order_by("expires_at")[:limit])
        if not decisions:
            return 0
        RiskAcceptance.objects.filter(id__in=[one.id for one in decisions]).update(ended_at=now)
        by_finding = {one.finding_id: one for one in decisions}
        findings = Finding.objects.filter(id__in=by_finding).select_related("repository")
        Finding.objects.filter(id__in=by_finding).update(triage=Triage.NONE, updated_at=now)
        checks.ask(list(by_finding))
        for finding in findings:
            announce_decision("finding.expired", [finding], accepted_by=by_finding[finding.id].decided_by)
    return len(decisions)


def _locked(finding: Finding) -> Finding:
    row = Finding.objects.select_for_update(of=("self",)).select_related("repository").filter(id=finding.id).first()
    if row is None:
        raise Conflict("This finding was deleted meanwhile.")
    return row


def _checked(decision: Decision) -> str:
    errors: dict[str, list[str]] = {}
    if decision.triage not in Triage.values or not decision.triage:
        errors["triage"] = [f"must be one of {', '.join(value for value in Triage.values if value)}."]
    reason = decision.reason.strip()
    if not reason or len(reason) > MAX_REASON:
        errors["reason"] = [f"must say why, in 1 to {MAX_REASON} characters: auditors will ask."]
    if decision.expires_at is not None and decision.expires_at <= timezone.now():
        errors["expires_at"] = ["must be in the future."]
    if errors:
        raise InvalidInput(" ".join(f"{field}: {sentences[0]}" for field, sentences in errors.items()), fields=errors)
    return reason


def _day(moment: datetime | None) -> str | None:
    return moment.date().isoformat() if moment else None
