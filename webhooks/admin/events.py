"""Events: what happened. Read-only, with a link to what was delivered because of it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter
from access.principals import principal
from access.selectors import visible, with_owner
from core.event_types import catalogue
from core.ids import is_uuid
from core.models import Event
from webhooks.admin.deliveries import TONES
from webhooks.models import WebhookDelivery
from webhooks.selectors import deliveries

DELIVERIES_SHOWN = 50


def _types() -> list[tuple[str, str]]:
    return [(event_type.name, event_type.name) for event_type in catalogue.all() if not event_type.name.endswith(".*")]


@admin.register(Event)
class EventAdmin(LogAdmin):
    """The event log."""

    empty_text = "What is posted to /api/v1/events, and what the portal itself notices, is listed here."
    list_display = ("shown_at", "type", "actor", "shown_owner", "shown_size", "shown_id")
    list_display_links = ("shown_at", "type")
    list_filter = (choice_filter("type", "type", _types), SinceFilter, UntilFilter)
    search_fields = ("id",)
    search_help_text = "id of an event or a repository"

    def rows(self, request: HttpRequest) -> QuerySet[Event]:
        """Return the events without their data, which may be megabytes."""
        return with_owner(Event.objects.defer("payload"))

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find by an exact id."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if not is_uuid(term):
            messages.warning(request, f"“{term[:60]}” is not an id. Paste the id of an event or a repository.")
            return queryset.none(), False
        key = uuid.UUID(term)
        return queryset.filter(id=key) if Event.objects.filter(id=key).exists() else queryset.filter(repository_id=key), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an event with its data and its latest deliveries."""
        event = self.get_object(request, unquote(object_id))
        if event is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, event):
            raise PermissionDenied
        rows = visible(deliveries().filter(event_id=event.pk), principal(request)).order_by("-id")[:DELIVERIES_SHOWN]
        context = {
            "event": event,
            "owner": str(event.owner) if event.owner else "the admins",
            "payload": show.pretty(event.payload),
            "deliveries": [(row, show.admin_url(WebhookDelivery, "change", row.pk), TONES.get(row.status, show.QUIET)) for row in rows],
            "shown": DELIVERIES_SHOWN,
        }
        return self.page(request, "portal/event.html", "Event", subtitle=event.type, **context)

    @admin.display(description="time (UTC)")
    def shown_at(self, event: Event) -> SafeString:
        """Return when it happened."""
        return show.exact(event.created_at)

    @admin.display(description="owner")
    def shown_owner(self, event: Event) -> str:
        """Return whose it is."""
        return str(event.owner) if event.owner else "the admins"

    @admin.display(description="bytes")
    def shown_size(self, event: Event) -> str:
        """Return the size of its data."""
        return f"{event.size:,}"

    @admin.display(description="id")
    def shown_id(self, event: Event) -> SafeString:
        """Return its id, also the webhook-id header of its deliveries."""
        return show.code(event.pk)
