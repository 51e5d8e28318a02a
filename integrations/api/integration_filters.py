"""Query parameters of the integration routes. Times are ranges of the id: `since` counts, `until` does not."""

from __future__ import annotations

import datetime as dt

import django_filters
from django.db.models import QuerySet

from access.principals import principal
from access.selectors import visible
from core.api.filters import MomentFilter
from core.ids import first_id_at
from core.models import Owner, RequestLog
from core.models.outbound import CallOutcome, CallPurpose
from integrations.choices import Category, Criticality, Environment, HealthState, Status
from integrations.models import Integration

MAX_OWNER = 160


class IntegrationFilter(django_filters.FilterSet):
    """By connector, by what it is for, by how it stands, by owner."""

    type = django_filters.CharFilter(max_length=40, label="Key of the connector.")
    category = django_filters.ChoiceFilter(choices=Category.choices)
    environment = django_filters.ChoiceFilter(choices=Environment.choices)
    status = django_filters.ChoiceFilter(choices=Status.choices)
    criticality = django_filters.ChoiceFilter(choices=Criticality.choices)
    health = django_filters.ChoiceFilter(field_name="shown_health", choices=HealthState.choices)
    name = django_filters.CharFilter(max_length=100, label="The name, in full.")
    owner = django_filters.CharFilter(method="by_owner", max_length=MAX_OWNER, label="`user:NAME` or `team:NAME`.")

    class Meta:
        model = Integration
        fields: list[str] = []

    def by_owner(self, queryset: QuerySet[Integration], name: str, value: str) -> QuerySet[Integration]:
        """Apply `owner`: an owner that the caller may not see has nothing, as one that there is not."""
        kind, _, label = value.partition(":")
        lookup = {"user": "user__username", "team": "team__name"}.get(kind)
        if lookup is None or not label:
            return queryset.none()
        owners = visible(Owner.objects.filter(**{lookup: label}), principal(self.request), path="id")
        return queryset.filter(owner__in=owners)


class RequestLogFilter(django_filters.FilterSet):
    """Calls of one integration."""

    outcome = django_filters.ChoiceFilter(choices=CallOutcome.choices)
    purpose = django_filters.ChoiceFilter(choices=CallPurpose.choices)
    endpoint = django_filters.CharFilter(max_length=100, label="Name of the endpoint.")
    status_code = django_filters.NumberFilter(min_value=100, max_value=599, label="Status of the answer.")
    since = MomentFilter(method="from_time", label="Not before this time.")
    until = MomentFilter(method="to_time", label="Before this time.")

    class Meta:
        model = RequestLog
        fields: list[str] = []

    def from_time(self, queryset: QuerySet[RequestLog], name: str, value: dt.datetime) -> QuerySet[RequestLog]:
        """Apply `since`."""
        return queryset.filter(id__gte=first_id_at(value))

    def to_time(self, queryset: QuerySet[RequestLog], name: str, value: dt.datetime) -> QuerySet[RequestLog]:
        """Apply `until`."""
        return queryset.filter(id__lt=first_id_at(value))
