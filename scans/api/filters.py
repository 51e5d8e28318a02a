"""Query parameters of scans and findings."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet

from core.errors import InvalidInput
from scans.choices import FindingState, Kind, ScanStatus, Severity, Triage
from scans.models import Finding, Inventory, Scan
from scans.selectors import on_ref
from scans.severities import rank

_STATES = [choice for choice in FindingState.choices if choice[0] != FindingState.STAGED]
_TRIAGES = [("none", "not triaged"), *(choice for choice in Triage.choices if choice[0])]


class ScanFilter(django_filters.FilterSet):
    """By what they are of, and where they stand."""

    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")
    status = django_filters.ChoiceFilter(choices=ScanStatus.choices)
    commit = django_filters.CharFilter(max_length=64, label="The commit, in full; with repository.")

    class Meta:
        model = Scan
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Scan]) -> QuerySet[Scan]:
        """Apply the parameters; a commit is one of a repository."""
        if self.form.cleaned_data.get("commit") and not self.form.cleaned_data.get("repository"):
            raise InvalidInput.of("commit", "needs repository beside it.")
        rows: QuerySet[Scan] = super().filter_queryset(queryset)
        return rows


class InventoryFilter(django_filters.FilterSet):
    """By whose they are."""

    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")
    ref = django_filters.CharFilter(max_length=255, label="Branch or ref; with repository.")

    class Meta:
        model = Inventory
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Inventory]) -> QuerySet[Inventory]:
        """Apply the parameters; a ref is one of a repository."""
        if self.form.cleaned_data.get("ref") and not self.form.cleaned_data.get("repository"):
            raise InvalidInput.of("ref", "needs repository beside it.")
        rows: QuerySet[Inventory] = super().filter_queryset(queryset)
        return rows


class FindingFilter(django_filters.FilterSet):
    """By repository, state, severity, package and source."""

    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")
    state = django_filters.ChoiceFilter(choices=_STATES, label="On the default branch.")
    triage = django_filters.ChoiceFilter(choices=_TRIAGES, method="by_triage", label="What people decided.")
    suppressed = django_filters.BooleanFilter(label="Left out by its scanners' own settings.")
    severity = django_filters.ChoiceFilter(choices=Severity.choices, label="Exactly this severity.")
    min_severity = django_filters.ChoiceFilter(choices=Severity.choices, method="by_floor", label="This severity or worse.")
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    package = django_filters.CharFilter(max_length=300, label="Name of the package, in full.")
    ref = django_filters.CharFilter(max_length=255, method="by_ref", label="There on this branch or ref.")

    class Meta:
        model = Finding
        fields: list[str] = []

    def by_triage(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `triage`."""
        return queryset.filter(triage="" if value == "none" else value)

    def by_floor(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `min_severity`."""
        return queryset.filter(severity_rank__gte=rank(value))

    def by_ref(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `ref`."""
        return on_ref(queryset, value)
