"""Filters of the log of outbound calls: by integration, and by what only the calls of one integration are indexed for."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest

from access.admin_base.filters import ChoiceFilter
from access.principals import principal
from access.selectors import visible
from core.models.outbound import CallPurpose
from integrations.models import Endpoint, Integration

OFFERED = 200


class IntegrationFilter(ChoiceFilter):
    """The integrations that the caller sees."""

    title = "integration"
    parameter_name = "integration"
    field = "integration_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the first of them by name; others come by a link from their page."""
        rows = visible(Integration.objects.order_by("name", "id"), principal(request)).values_list("id", "name")[:OFFERED]
        return [(str(id), name) for id, name in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the calls of the chosen one; none for an id that is none."""
        text = self.value()
        if not text:
            return queryset
        id = _uuid(text)
        return queryset.none() if id is None else queryset.filter(integration_id=id)


class OfIntegrationFilter(ChoiceFilter):
    """A filter that is offered once an integration is chosen: the indexes that serve it begin with the integration."""

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.integration_id = _uuid(request.GET.get(IntegrationFilter.parameter_name, ""))
        super().__init__(request, *args)

    def has_output(self) -> bool:
        """Show it with an integration, and where it was asked for without one, to say so."""
        return self.integration_id is not None or bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the calls that fit; without an integration it is said that one is needed."""
        if self.value() and self.integration_id is None:
            messages.warning(request, f"Choose an integration as well: by {self.title}, the calls of one integration can be shown.")
            return queryset
        return super().queryset(request, queryset)


class PurposeFilter(OfIntegrationFilter):
    """What the calls were made for."""

    title = "purpose"
    parameter_name = field = "purpose"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the purposes."""
        return [(purpose.value, str(purpose.label)) for purpose in CallPurpose]


class EndpointFilter(OfIntegrationFilter):
    """Through which named endpoint they were made."""

    title = "endpoint"
    parameter_name = field = "endpoint"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the endpoints that the integration has now; a removed one works from a link."""
        if self.integration_id is None:
            return []
        rows = visible(Endpoint.objects.filter(integration_id=self.integration_id), principal(request), path="integration__owner_id")
        names = rows.order_by("name").values_list("name", flat=True)[:OFFERED]
        return [(name, name) for name in names]


class StatusFilter(OfIntegrationFilter):
    """Which status the service answered."""

    kind = "number"
    title = "status"
    parameter_name = field = "status_code"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return nothing to choose from: it is typed."""
        return []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the calls that were answered so; what is no status is said and left out."""
        text = str(self.value() or "")
        if text and not (text.isascii() and text.isdigit() and len(text) == 3):
            messages.warning(request, f"{text[:20]} is no status of an answer; write it like 404.")
            return queryset
        return super().queryset(request, queryset)


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
