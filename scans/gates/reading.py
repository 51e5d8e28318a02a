"""What the database says of a ref: the facts of the findings that count, and which of them a condition means."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Q, QuerySet
from django.db.models.functions import Coalesce

from integrations.models import Repository
from scans.choices import FindingState, Triage
from scans.gates.conditions import Among, Condition
from scans.gates.facts import Facts, group
from scans.gates.sla import is_over
from scans.models import Finding, Presence, Scan, Stream
from scans.severities import rank

_FACTS = ("is_new", "severity_rank", "is_fixable", "kind", "known_exploited", "epss", "appeared_at")


@dataclass(frozen=True)
class Subject:
    """What a gate is about: a ref of a repository as it is now, after this scan of this commit."""

    repository: Repository
    ref: str
    commit: str
    scan_id: uuid.UUID


class Findings:
    """The findings on the subject's ref that count: suppressed and triaged ones never do."""

    def __init__(self, subject: Subject) -> None:
        self._subject, self._base = subject, subject.repository.default_branch
        # named by their ids: PostgreSQL then knows how few of all presences it has to look at
        streams = Stream.objects.filter(repository_id=subject.repository.id, ref__in={subject.ref, self._base})
        self._streams = dict(streams.values_list("id", "ref"))
        rows = Finding.objects.filter(
            id__in=self._open(subject.ref), repository_id=subject.repository.id, triage=Triage.NONE, suppressed=False
        )
        shown = rows.exclude(state=FindingState.STAGED)
        self._rows: QuerySet[Any] = shown.annotate(appeared_at=Coalesce("opened_at", "created_at"))

    def facts(self, at: datetime) -> Facts:
        """Return the facts. One statement, which groups."""
        is_fixable = ExpressionWrapper(~Q(fixed_version=""), output_field=BooleanField())
        is_new = ExpressionWrapper(~Q(id__in=self._before()), output_field=BooleanField())
        rows = self._rows.annotate(is_new=is_new, is_fixable=is_fixable)
        return Facts(at, tuple(group(row) for row in rows.values_list(*_FACTS).annotate(number=Count("id")).order_by()))

    def breaking(self, condition: Condition, sla_days: Mapping[str, int], at: datetime) -> QuerySet[Any]:
        """Return the findings that a condition counts: the same as facts.found()."""
        rows = self._rows.filter(severity_rank__gte=rank(condition.severity))
        if condition.starts:
            rows = rows.filter(appeared_at__gte=condition.starts)
        elif condition.among == Among.NEW:
            rows = rows.exclude(id__in=self._before())
        if condition.only_fixable:
            rows = rows.exclude(fixed_version="")
        if condition.kinds:
            rows = rows.filter(kind__in=condition.kinds)
        if condition.known_exploited:
            rows = rows.filter(known_exploited=True)
        if condition.min_epss is not None:
            rows = rows.filter(epss__gte=condition.min_epss)
        return rows.filter(is_over(sla_days, at, "appeared_at")) if condition.over_sla else rows

    def placed(self, *, only_new: bool) -> QuerySet[Finding]:
        """Return the findings that stand on a line of a file."""
        rows = self._rows.exclude(path="").filter(line__isnull=False)
        return rows.exclude(id__in=self._before()) if only_new else rows

    def _before(self) -> QuerySet[Any]:
        """Return what is no new finding.

        On a branch that is what the default branch has; on the default branch what was there before the scanned commit.
        """
        subject, old = self._subject, self._open(self._base)
        if subject.ref != self._base:
            return old
        if not subject.commit:
            return old.exclude(first_scan_id=subject.scan_id)
        same = Scan.objects.filter(repository_id=subject.repository.id, commit=subject.commit)
        return old.exclude(first_scan_id__in=same.values("id"))

    def _open(self, ref: str) -> QuerySet[Any]:
        """Return the ids of what is there on a ref: asked for as a whole, and not of each finding, whatever is expected of their number."""
        streams = [id for id, of in self._streams.items() if of == ref]
        return Presence.objects.filter(stream_id__in=streams, closed_scan_id__isnull=True).values("finding_id")
