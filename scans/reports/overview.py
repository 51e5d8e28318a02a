"""What stands above the findings of a report: which scans it rests on, what the gate says, and how many there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q
from django.utils import timezone

from scans.categories import integration_names
from scans.choices import FindingState, Severity, Triage
from scans.gates.policy import in_force
from scans.models import GateResult, Stream
from scans.reports.rows import Clock
from scans.reports.scope import Scope, listed, on_the_ref
from scans.severities import WORST_FIRST

MOST_STREAMS = 500
COUNTED = ("open", "new", "accepted", "other", "suppressed", "fixed")


@dataclass(frozen=True)
class Overview:
    """It was read before the findings are: a database that fails answers an error, not half a report."""

    scope: Scope
    clock: Clock
    streams: tuple[Stream, ...]
    """What each tool reports of the ref, with its last scan and commit."""
    integrations: Mapping[str, str | None]
    """By category of these: the name of the integration that it was read from."""
    gate: GateResult | None
    counts: Mapping[str, Mapping[str, int]]
    """Of all findings of the ref, by severity and then by COUNTED, whatever the list is narrowed to."""
    listed: Mapping[int, int]
    """How many findings the report lists, by their rank."""

    @property
    def total(self) -> int:
        """Return how many findings the report lists."""
        return sum(self.listed.values())

    @property
    def made_at(self) -> datetime:
        """Return when it was made."""
        return self.clock.now

    def sums(self) -> dict[str, int]:
        """Return the counts of all severities together."""
        return {name: sum(one[name] for one in self.counts.values()) for name in COUNTED}


def overview(scope: Scope) -> Overview:
    """Read it: six statements."""
    repository = scope.repository
    streams = Stream.objects.filter(repository=repository, ref=scope.ref, last_scan_id__isnull=False).order_by("tool", "category")
    reporting = tuple(streams[:MOST_STREAMS])
    results = GateResult.objects.filter(repository=repository, ref=scope.ref).defer("broken_by").order_by("-id")
    by_rank = listed(scope).order_by().values_list("severity_rank").annotate(number=Count("id"))
    return Overview(
        scope=scope,
        clock=Clock(timezone.now(), in_force(repository.id).sla_days),
        streams=reporting,
        integrations=integration_names(one.category for one in reporting),
        gate=results.first(),
        counts=_counts(scope),
        listed=dict(by_rank),
    )


def _counts(scope: Scope) -> dict[str, dict[str, int]]:
    counting = Q(here=True, triage=Triage.NONE, suppressed=False)
    found = on_the_ref(scope).order_by().values_list("severity")
    rows = found.annotate(
        open=Count("id", filter=counting),
        new=Count("id", filter=counting & _new(scope)),
        accepted=Count("id", filter=Q(here=True, triage=Triage.ACCEPTED)),
        other=Count("id", filter=Q(here=True, triage__in=[Triage.FALSE_POSITIVE, Triage.IGNORED])),
        suppressed=Count("id", filter=Q(here=True, triage=Triage.NONE, suppressed=True)),
        fixed=Count("id", filter=Q(mended=True)),
    )
    known = {severity: dict(zip(COUNTED, numbers, strict=True)) for severity, *numbers in rows}
    nothing = dict.fromkeys(COUNTED, 0)
    return {one.value: known.get(one.value, nothing) for one in WORST_FIRST if one != Severity.UNKNOWN or one.value in known}


def _new(scope: Scope) -> Q:
    """On the default branch those that were opened in the period; on another ref those that the default branch does not have."""
    if scope.is_default:
        return Q(opened_at__gte=scope.since)
    return ~Q(state=FindingState.OPEN)


def new_means(scope: Scope) -> str:
    """Return what the column of new findings counts, in words."""
    return f"opened since {scope.since:%Y-%m-%d}" if scope.is_default else f"not on {scope.repository.default_branch}"
