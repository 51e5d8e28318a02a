"""Query parameters of scans and findings."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet

from core.api.filters import MomentFilter
from core.errors import InvalidInput
from scans.choices import TRIAGES, UNDECIDED, FindingState, Kind, ScanStatus, Severity, Triage
from scans.gates.policy import in_force
from scans.gates.sla import overdue
from scans.models import Finding, Inventory, Scan
from scans.normal.cwe import numbers as cwe_numbers
from scans.refs import plain_ref
from scans.selectors import from_source, on_ref, with_cwe
from scans.severities import rank

_STATES = [choice for choice in FindingState.choices if choice[0] != FindingState.STAGED]


class ScanFilter(django_filters.FilterSet):
    """By what they are of, and where they stand."""

    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")
    integration = django_filters.UUIDFilter(field_name="integration_id", label="Id of the integration that was read.")
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
    """By repository, state, severity, package, source, age, and what is known of exploits."""

    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")
    state = django_filters.ChoiceFilter(choices=_STATES, label="On the default branch.")
    triage = django_filters.ChoiceFilter(choices=TRIAGES, method="by_triage", label="What people decided.")
    suppressed = django_filters.BooleanFilter(label="Left out by its scanners' own settings.")
    severity = django_filters.ChoiceFilter(choices=Severity.choices, label="Exactly this severity.")
    min_severity = django_filters.ChoiceFilter(choices=Severity.choices, method="by_floor", label="This severity or worse.")
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    package = django_filters.CharFilter(max_length=300, label="Name of the package, in full.")
    known_exploited = django_filters.BooleanFilter(label="In CISA's catalogue of known exploited vulnerabilities, or not.")
    min_epss = django_filters.NumberFilter(
        field_name="epss", lookup_expr="gte", min_value=0, max_value=1, label="At least this EPSS, 0 to 1: likely to be exploited."
    )
    cwe = django_filters.CharFilter(max_length=20, method="by_cwe", label="Of this weakness, such as 79 or CWE-79; with repository.")
    source = django_filters.CharFilter(max_length=60, method="by_source", label="Reported now by this scanner, such as semgrep.")
    opened_after = MomentFilter(field_name="opened_at", lookup_expr="gte", label="Open since this time, or later.")
    opened_before = MomentFilter(field_name="opened_at", lookup_expr="lt", label="Open since before this time.")
    overdue = django_filters.BooleanFilter(method="by_sla", label="Past the SLA of the policy in force; with repository.")
    ref = django_filters.CharFilter(max_length=255, method="by_ref", label="There on this branch or ref.")

    class Meta:
        model = Finding
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        """Apply the parameters; a weakness is looked for within a repository, whose policy says what is overdue."""
        if self.form.cleaned_data.get("cwe") and not self.form.cleaned_data.get("repository"):
            raise InvalidInput.of("cwe", "needs repository beside it: weaknesses are looked for within one.")
        if self.form.cleaned_data.get("overdue") is not None and not self.form.cleaned_data.get("repository"):
            raise InvalidInput.of("overdue", "needs repository beside it: its policy says what is.")
        rows: QuerySet[Finding] = super().filter_queryset(queryset)
        return rows

    def by_sla(self, queryset: QuerySet[Finding], name: str, value: bool) -> QuerySet[Finding]:
        """Apply `overdue`."""
        late = overdue(queryset, in_force(self.form.cleaned_data["repository"]).sla_days)
        return late if value else queryset.exclude(id__in=late.values("id"))

    def by_cwe(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `cwe`."""
        found = cwe_numbers((value,))
        if len(found) != 1:
            raise InvalidInput.of("cwe", "must be the number of a weakness, such as 79 or CWE-79.")
        return with_cwe(queryset, found[0])

    def by_source(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `source`."""
        return from_source(queryset, value.strip().lower())

    def by_triage(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `triage`."""
        return queryset.filter(triage=Triage.NONE if value == UNDECIDED else value)

    def by_floor(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `min_severity`."""
        return queryset.filter(severity_rank__gte=rank(value))

    def by_ref(self, queryset: QuerySet[Finding], name: str, value: str) -> QuerySet[Finding]:
        """Apply `ref`."""
        return on_ref(queryset, plain_ref(value))
