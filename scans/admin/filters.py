"""Filters of the list of findings. With none chosen it shows what counts: open, not decided about, not suppressed."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from access.admin_base.filters import ChoiceFilter
from scans.choices import FindingState, Triage
from scans.severities import WORST_FIRST, rank

ALL, SUPPRESSED, _WORSE = "all", "suppressed", "+"


class StateFilter(ChoiceFilter):
    """Open ones, unless another state is chosen."""

    title, parameter_name, field, nothing = "state", "state", "state", str(FindingState.OPEN.label)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the states."""
        shown = (FindingState.FIXED, FindingState.BRANCH)
        return [*((one.value, str(one.label)) for one in shown), (ALL, "any state")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings in that state."""
        return queryset if self.value() == ALL else queryset.filter(state=self.value() or FindingState.OPEN)


class TriageFilter(ChoiceFilter):
    """Those that nobody decided about and no scanner hides, unless another triage is chosen."""

    title, parameter_name, field, nothing = "triage", "triage", "triage", "not triaged: counts"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the decisions."""
        decided = [(value, str(label)) for value, label in Triage.choices if value]
        return [*decided, (SUPPRESSED, "suppressed by its scanners"), (ALL, "with any triage")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings about which that was decided."""
        if self.value() == ALL:
            return queryset
        if self.value() == SUPPRESSED:
            return queryset.filter(suppressed=True)
        return queryset.filter(triage=self.value()) if self.value() else queryset.filter(triage=Triage.NONE, suppressed=False)


class SeverityFilter(ChoiceFilter):
    """One severity, or one and what is worse; by its rank, which is indexed."""

    title, parameter_name, field = "severity", "severity", "severity_rank"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the severities, worst first."""
        worse = [(f"{one.value}{_WORSE}", f"{one.label} or worse") for one in WORST_FIRST[1:4]]
        return [*((one.value, str(one.label)) for one in WORST_FIRST), *worse]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings that are so bad."""
        text = str(self.value() or "")
        name = text.removesuffix(_WORSE)
        if not text:
            return queryset
        if name not in WORST_FIRST:
            return queryset.none()
        return queryset.filter(severity_rank__gte=rank(name)) if text != name else queryset.filter(severity_rank=rank(name))
