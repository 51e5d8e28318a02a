"""Query parameters of the access routes."""

from __future__ import annotations

import datetime as dt
import difflib
from typing import Any

import django_filters
from django.apps import apps
from django.db.models import Q, QuerySet
from django.utils import timezone

from access.choices import AuditVerb, KeyEnvironment
from access.models import ApiKey, ApiUsage, AuditEntry
from core.api.filters import MomentFilter
from core.errors import InvalidInput
from core.ids import first_id_at


class ApiKeyFilter(django_filters.FilterSet):
    """`active` keys are neither revoked nor expired."""

    environment = django_filters.ChoiceFilter(choices=KeyEnvironment.choices)
    name = django_filters.CharFilter(max_length=100)
    active = django_filters.BooleanFilter(method="by_activity", label="Neither revoked nor expired.")

    class Meta:
        model = ApiKey
        fields: list[str] = []

    def by_activity(self, queryset: QuerySet[ApiKey], name: str, value: bool) -> QuerySet[ApiKey]:
        """Apply `active`."""
        active = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
        return queryset.filter(active if value else ~active)


class ApiUsageFilter(django_filters.FilterSet):
    """A range of days."""

    since = django_filters.DateFilter(field_name="day", lookup_expr="gte", label="First day.")
    until = django_filters.DateFilter(field_name="day", lookup_expr="lte", label="Last day.")

    class Meta:
        model = ApiUsage
        fields: list[str] = []


class AuditFilter(django_filters.FilterSet):
    """Times are ranges of the id, which is ordered by time: `since` counts, `until` does not."""

    actor_id = django_filters.CharFilter(max_length=64)
    verb = django_filters.ChoiceFilter(choices=AuditVerb.choices)
    object_type = django_filters.CharFilter(max_length=60, method="by_type", label="As entries name it, such as apikey or inboundsource.")
    object_id = django_filters.CharFilter(max_length=64, label="Id of the object; give object_type as well.")
    since = MomentFilter(method="from_time", label="Not before this time.")
    until = MomentFilter(method="to_time", label="Before this time.")

    class Meta:
        model = AuditEntry
        fields: list[str] = []

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Apply all; raises InvalidInput for an `object_id` alone, which no index finds among millions of entries."""
        if self.form.cleaned_data["object_id"] and not self.form.cleaned_data["object_type"]:
            raise InvalidInput.of("object_id", "needs object_type as well, for example object_type=webhook.")
        rows: QuerySet[Any] = super().filter_queryset(queryset)
        return rows

    def by_type(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        """Apply `object_type`; a kind that does not exist is refused, or a typing mistake would look like a clean record."""
        known = {str(model._meta.model_name) for model in apps.get_models()}
        if value not in known:
            close = difflib.get_close_matches(value, known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "It is written as entries show it, such as apikey, inboundsource or webhook."
            raise InvalidInput.of(name, f"is not a kind of object. {hint}")
        return queryset.filter(object_type=value)

    def from_time(self, queryset: QuerySet[Any], name: str, value: dt.datetime) -> QuerySet[Any]:
        """Apply `since`."""
        return queryset.filter(id__gte=first_id_at(value))

    def to_time(self, queryset: QuerySet[Any], name: str, value: dt.datetime) -> QuerySet[Any]:
        """Apply `until`."""
        return queryset.filter(id__lt=first_id_at(value))
