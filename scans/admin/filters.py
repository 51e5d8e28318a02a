"""Filters of the list of findings. With none chosen it shows what counts: open, not decided about, not suppressed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import messages
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from access.admin_base.filters import ChoiceFilter
from scans.choices import FindingState, Triage
from scans.normal.cwe import numbers as cwe_numbers
from scans.selectors import from_source, with_cwe
from scans.severities import WORST_FIRST, rank

ALL, SUPPRESSED, WORSE = "all", "suppressed", "+"


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
        worse = [(f"{one.value}{WORSE}", f"{one.label} or worse") for one in WORST_FIRST[1:4]]
        return [*((one.value, str(one.label)) for one in WORST_FIRST), *worse]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings that are so bad."""
        text = str(self.value() or "")
        name = text.removesuffix(WORSE)
        if not text:
            return queryset
        if name not in WORST_FIRST:
            return queryset.none()
        return queryset.filter(severity_rank__gte=rank(name)) if text != name else queryset.filter(severity_rank=rank(name))


class ExploitedFilter(ChoiceFilter):
    """In CISA's catalogue or not."""

    title, parameter_name, field = "exploited", "exploited", "known_exploited"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return both."""
        return [("yes", "known exploited"), ("no", "not known")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings that are in it, or are not."""
        return queryset.filter(known_exploited=self.value() == "yes") if self.value() else queryset


class EpssFilter(ChoiceFilter):
    """At least so likely to be exploited; a link may name any number."""

    title, parameter_name, field = "EPSS", "epss", "epss"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return usual thresholds."""
        return [(text, f"{text} or more") for text in ("0.9", "0.5", "0.1", "0.01")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings with at least this score."""
        if not self.value():
            return queryset
        try:
            return queryset.filter(epss__gte=min(max(float(str(self.value())), 0.0), 1.0))
        except ValueError:
            return queryset.none()


class AgeFilter(ChoiceFilter):
    """How long they have been open."""

    title, parameter_name, field = "age", "age", "opened_at"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return ages in days: a number, or one after `<` for younger ones."""
        return [("<1", "opened today"), ("<7", "up to 7 days"), *((str(days), f"over {days} days") for days in (7, 30, 90, 180, 365))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings of that age."""
        text = str(self.value() or "")
        days = text.removeprefix("<")
        if not text:
            return queryset
        if not days.isascii() or not days.isdigit() or len(days) > 5:
            return queryset.none()
        at = timezone.now() - timedelta(days=int(days))
        return queryset.filter(opened_at__gte=at) if text != days else queryset.filter(opened_at__lt=at)


class TextFilter(SimpleListFilter):
    """Something that is typed, and found in full."""

    kind: ClassVar[str] = "text"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return nothing to choose from: it is typed."""
        return []

    def has_output(self) -> bool:
        """Show it always."""
        return True

    def text(self) -> str:
        """Return what was typed."""
        return str(self.value() or "").strip()[:300]


class PackageFilter(TextFilter):
    """The name of a package."""

    title, parameter_name = "package", "package"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return its findings."""
        return queryset.filter(package=self.text()) if self.text() else queryset


class SourceFilter(TextFilter):
    """The name of a scanner."""

    title, parameter_name = "scanner", "source"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return what it reports now."""
        return from_source(queryset, self.text().lower()) if self.text() else queryset


class CweFilter(TextFilter):
    """A weakness, within a repository: no index serves it beyond."""

    title, parameter_name = "CWE", "cwe"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the findings of it; what can't be looked for is said."""
        text = self.text()
        if not text:
            return queryset
        found = cwe_numbers((text,))
        if len(found) != 1 or "/" not in request.GET.get("q", ""):
            wrong = "write its repository into the search as well, such as acme/shop." if found else "write a number, such as 79 or CWE-79."
            messages.warning(request, f"CWE: {wrong}")
            return queryset.none()
        return with_cwe(queryset, found[0])
