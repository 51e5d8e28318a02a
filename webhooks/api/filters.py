"""Query parameters of webhooks, deliveries and events. Times are ranges of the id: `since` counts, `until` does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import django_filters
from django.db.models import QuerySet

from core.api.filters import MomentFilter
from core.event_types import MAX_NAME
from core.ids import first_id_at
from core.models import Event
from webhooks.choices import DeliveryStatus, ErrorClass, WebhookStatus
from webhooks.models import Webhook, WebhookDelivery
from webhooks.selectors import receiving

_ERROR_CLASSES = [choice for choice in ErrorClass.choices if choice[0]]


class TimeFilter(django_filters.FilterSet):
    """`since` and `until`, as ranges of the id."""

    since = MomentFilter(method="from_time", label="Not before this time.")
    until = MomentFilter(method="to_time", label="Before this time.")

    def from_time(self, queryset: QuerySet[Any], name: str, value: dt.datetime) -> QuerySet[Any]:
        """Apply `since`."""
        return queryset.filter(id__gte=first_id_at(value))

    def to_time(self, queryset: QuerySet[Any], name: str, value: dt.datetime) -> QuerySet[Any]:
        """Apply `until`."""
        return queryset.filter(id__lt=first_id_at(value))


class WebhookFilter(django_filters.FilterSet):
    """By status, by an event type that they would receive, by name."""

    status = django_filters.ChoiceFilter(choices=WebhookStatus.choices)
    event = django_filters.CharFilter(
        method="by_event", max_length=MAX_NAME, label="An event type they are subscribed to, also by wildcard."
    )
    name = django_filters.CharFilter(max_length=100, label="The name, in full.")

    class Meta:
        model = Webhook
        fields: list[str] = []

    def by_event(self, queryset: QuerySet[Webhook], name: str, value: str) -> QuerySet[Webhook]:
        """Apply `event`."""
        return receiving(queryset, value)


class WebhookDeliveryFilter(TimeFilter):
    """Deliveries of one webhook."""

    event = django_filters.UUIDFilter(field_name="event_id", label="Id of the event.")
    event_type = django_filters.CharFilter(max_length=MAX_NAME)
    status = django_filters.ChoiceFilter(choices=DeliveryStatus.choices)
    error_class = django_filters.ChoiceFilter(field_name="last_error_class", choices=_ERROR_CLASSES, label="How the last attempt failed.")

    class Meta:
        model = WebhookDelivery
        fields: list[str] = []


class DeliveryFilter(WebhookDeliveryFilter):
    """Deliveries of all webhooks."""

    webhook = django_filters.UUIDFilter(field_name="webhook_id", label="Id of the webhook.")


class EventFilter(TimeFilter):
    """By type and by repository."""

    type = django_filters.CharFilter(max_length=MAX_NAME, label="The exact type.")
    repository = django_filters.UUIDFilter(field_name="repository_id", label="Id of the repository.")

    class Meta:
        model = Event
        fields: list[str] = []
