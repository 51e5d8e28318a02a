"""Until when a finding has to be fixed, by the policy in force; nothing of it is stored, for policies change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from scans.choices import FindingState, Triage
from scans.gates.facts import DAY
from scans.gates.policy import in_force
from scans.models import Finding, Policy
from scans.severities import rank

_THERE = (FindingState.OPEN, FindingState.BRANCH)


def with_sla(rows: QuerySet[Finding]) -> QuerySet[Finding]:
    """Have the rows carry the days of their policies, in the same statement."""
    policies = Policy.objects.filter(Q(repository_id=OuterRef("repository_id")) | Q(repository__isnull=True))
    days = policies.order_by(F("repository_id").desc(nulls_last=True)).values("sla_days")[:1]
    return rows.annotate(sla_in_force=Subquery(days))


def due_at(finding: Finding) -> datetime | None:
    """Return until when it has to be fixed; None where no policy says so, or it does not count."""
    if finding.triage != Triage.NONE or finding.suppressed or finding.state not in _THERE:
        return None
    known = "sla_in_force" in finding.__dict__
    sla_days: Mapping[str, int] = (finding.__dict__["sla_in_force"] or {}) if known else in_force(finding.repository_id).sla_days
    days = sla_days.get(finding.severity)
    return (finding.opened_at or finding.created_at) + days * DAY if days else None


def is_overdue(finding: Finding) -> bool:
    """Say whether that was earlier than now."""
    due = due_at(finding)
    return due is not None and due < timezone.now()


def is_over(sla_days: Mapping[str, int], at: datetime, appeared: str) -> Q:
    """Return the condition that says so of rows; `appeared` names the column of when they did."""
    over = Q(pk__in=[])
    for severity, days in sla_days.items():
        over |= Q(severity_rank=rank(severity), **{f"{appeared}__lt": at - days * DAY})
    return over


def overdue(rows: QuerySet[Any], sla_days: Mapping[str, int]) -> QuerySet[Any]:
    """Return the rows of one repository, with these days, that are overdue."""
    there = rows.filter(triage=Triage.NONE, suppressed=False, state__in=_THERE)
    return there.filter(is_over(sla_days, timezone.now(), "opened_at"))
