"""The findings of a report, worst first, read by the batch: memory stays as it is however many there are, and no transaction stays open."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice

from django.db.models import QuerySet

from scans.models import Finding, RiskAcceptance
from scans.reports.scope import Scope, possible, shown_of
from scans.severities import rank

BATCH = 500
WORST_RANK = rank("critical")


@dataclass(frozen=True)
class Row:
    """A finding, the decision in force about it, and how long it is open."""

    finding: Finding
    is_here: bool
    decision: RiskAcceptance | None
    age_days: int | None
    due: date | None
    """Day by which the policy wants it fixed; None where it says nothing, or the finding does not count."""
    overdue: bool

    @property
    def state(self) -> str:
        """Return whether it is there on the report's ref."""
        return "open" if self.is_here else "fixed"


@dataclass(frozen=True)
class Clock:
    """When the report was made, and the days within which the policy wants findings fixed, by severity."""

    now: datetime
    sla_days: Mapping[str, int]

    def row(self, finding: Finding, here: bool, decision: RiskAcceptance | None) -> Row:
        """Return the row of a finding; `here` says that it is there on the ref."""
        opened = finding.opened_at
        age = max(0, (self.now - opened).days) if opened and here else None
        days = self.sla_days.get(finding.severity)
        counts = here and not finding.triage and not finding.suppressed
        due = (opened + timedelta(days=days)).date() if counts and opened and days is not None else None
        return Row(finding, here, decision, age, due, due is not None and self.now.date() > due)


def rows(scope: Scope, clock: Clock, by_rank: Collection[int] = range(WORST_RANK + 1), most: int | None = None) -> Iterator[Row]:
    """Yield the findings of a report, worst first, the newest of each severity before the others; `by_rank` are the ranks that occur."""
    return islice(_all(scope, possible(scope), clock, by_rank), most)


def decided(scope: Scope, clock: Clock, by_rank: Collection[int], most: int) -> Iterator[Row]:
    """Yield those of the findings about which something was decided, worst first."""
    return islice(_all(scope, possible(scope).exclude(triage=""), clock, by_rank), most)


def _all(scope: Scope, found: QuerySet[Finding], clock: Clock, by_rank: Collection[int]) -> Iterator[Row]:
    for number in sorted(by_rank, reverse=True):
        last: uuid.UUID | None = None
        while batch := list(_batch(found.filter(severity_rank=number), last)):
            shown = shown_of(scope, batch)
            decisions = decisions_about([one for one in batch if one.id in shown])
            for finding in batch:
                if finding.id in shown:
                    yield clock.row(finding, shown[finding.id], decisions.get(finding.id))
            last = batch[-1].id
            if len(batch) < BATCH:
                break


def _batch(found: QuerySet[Finding], last: uuid.UUID | None) -> QuerySet[Finding]:
    behind = found if last is None else found.filter(id__lt=last)
    return behind.order_by("-id")[:BATCH]


def decisions_about(findings: Collection[Finding]) -> dict[uuid.UUID, RiskAcceptance]:
    """Return the decisions that are in force about these findings: one statement, and none where nothing was decided."""
    triaged = [one.id for one in findings if one.triage]
    if not triaged:
        return {}
    return {one.finding_id: one for one in RiskAcceptance.objects.filter(finding_id__in=triaged, ended_at__isnull=True).order_by("id")}
