"""What the database says of a ref: the facts of the findings that count, and which of them a condition means."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from integrations.models import Repository
from scans.choices import FindingState, Triage
from scans.gates.conditions import Among, Condition
from scans.gates.facts import DAY, Facts, group
from scans.models import Finding, Presence, Scan
from scans.severities import rank

_FACTS = ("is_new", "severity_rank", "is_fixable", "kind", "known_exploited", "epss", "appeared_at")


@dataclass(frozen=True)
class Subject:
    """What a gate is about: a ref of a repository as it is now, after this scan of this commit."""

    repository: Repository
    ref: str
    commit: str
    scan_id: uuid.UUID


def read(subject: Subject, at: datetime) -> Facts:
    """Return the facts. One statement, which groups."""
    is_fixable = ExpressionWrapper(~Q(fixed_version=""), output_field=BooleanField())
    rows = _counting(subject).annotate(is_new=~Exists(_before(subject)), is_fixable=is_fixable)
    return Facts(at, tuple(group(row) for row in rows.values_list(*_FACTS).annotate(count=Count("id")).order_by()))


def breaking(subject: Subject, condition: Condition, sla_days: Mapping[str, int], at: datetime) -> QuerySet[Finding]:
    """Return the findings that a condition counts: the same as facts.found()."""
    rows = _counting(subject).filter(severity_rank__gte=rank(condition.severity))
    if condition.starts:
        rows = rows.filter(appeared_at__gte=condition.starts)
    elif condition.among == Among.NEW:
        rows = rows.filter(~Exists(_before(subject)))
    if condition.only_fixable:
        rows = rows.exclude(fixed_version="")
    if condition.kinds:
        rows = rows.filter(kind__in=condition.kinds)
    if condition.known_exploited:
        rows = rows.filter(known_exploited=True)
    if condition.min_epss is not None:
        rows = rows.filter(epss__gte=condition.min_epss)
    return rows.filter(_is_over(sla_days, at)) if condition.over_sla else rows


def _is_over(sla_days: Mapping[str, int], at: datetime) -> Q:
    over = Q(pk__in=[])
    for severity, days in sla_days.items():
        over |= Q(severity_rank=rank(severity), appeared_at__lt=at - days * DAY)
    return over


def _counting(subject: Subject) -> QuerySet[Finding]:
    """Return the findings on the ref that count: suppressed and triaged ones never do."""
    here = Presence.objects.filter(finding_id=OuterRef("id"), stream__ref=subject.ref, closed_scan_id__isnull=True)
    rows = Finding.objects.filter(Exists(here), repository_id=subject.repository.id, triage=Triage.NONE, suppressed=False)
    return rows.exclude(state=FindingState.STAGED).annotate(appeared_at=Coalesce("opened_at", "created_at"))


def _before(subject: Subject) -> QuerySet[Presence]:
    """Return the presences that make a finding an old one.

    On a branch these are the default branch's; on the default branch those from before the scanned commit.
    """
    old = Presence.objects.filter(finding_id=OuterRef("id"), closed_scan_id__isnull=True)
    base = subject.repository.default_branch
    if subject.ref != base:
        return old.filter(stream__ref=base)
    if not subject.commit:
        return old.filter(stream__ref=base).exclude(first_scan_id=subject.scan_id)
    same = Scan.objects.filter(repository_id=subject.repository.id, commit=subject.commit)
    return old.filter(stream__ref=base).exclude(first_scan_id__in=same.values("id"))
