"""Query parameters of builds."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet

from builds.choices import BuildStatus
from builds.models import Build
from core.api.filters import MomentFilter
from core.errors import InvalidInput

_IN_A_PROJECT = ("branch", "workflow")


class BuildFilter(django_filters.FilterSet):
    """By what a build is of, and by when it started. A branch or workflow is one of a project: name that, too."""

    project = django_filters.CharFilter(max_length=255, label="owner/name, in full.")
    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")
    source = django_filters.CharFilter(max_length=40, label="Where it ran.")
    status = django_filters.ChoiceFilter(choices=BuildStatus.choices)
    branch = django_filters.CharFilter(max_length=255, label="With project or repository.")
    workflow = django_filters.CharFilter(max_length=255, label="With project or repository.")
    commit = django_filters.CharFilter(max_length=64, label="The commit, in full.")
    since = MomentFilter(field_name="started_at", lookup_expr="gte", label="Started not before this time.")
    until = MomentFilter(field_name="started_at", lookup_expr="lt", label="Started before this time.")

    class Meta:
        model = Build
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Build]) -> QuerySet[Build]:
        """Apply the parameters; raises InvalidInput for a branch or workflow of every project, which no index serves."""
        given = {name for name, value in self.form.cleaned_data.items() if value not in (None, "")}
        for name in _IN_A_PROJECT:
            if name in given and not given & {"project", "repository"}:
                raise InvalidInput.of(name, "needs project or repository beside it.")
        rows: QuerySet[Build] = super().filter_queryset(queryset)
        return rows
