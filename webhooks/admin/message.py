"""The page that shows the exact message which a webhook would send of an event, before anything is sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.selectors import visible
from core.errors import InvalidInput, RepoGuardError
from core.event_types import catalogue
from core.models import Event
from webhooks.models import Webhook
from webhooks.services.previews import example_type, preview_message


class MessagePage(PortalAdmin):
    """Adds the page to the admin of webhooks."""

    def get_urls(self) -> list[URLPattern]:
        """Add its address."""
        own = path("<path:object_id>/message/", self.admin_site.admin_view(self.message_view), name="webhooks_webhook_message")
        return [own, *super().get_urls()]

    def message_links(self, request: HttpRequest, webhook: Webhook) -> list[tuple[str, str, str]]:
        """Return the link to the page."""
        return [(show.admin_url(Webhook, "message", webhook.pk), "See the message", "visibility")]

    def message_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Show what would be sent of the example of a type, or of a recorded event."""
        webhook = self.get_object(request, unquote(object_id))
        if webhook is None or not self.has_view_permission(request, webhook):
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        chosen, event_id = request.GET.get("event_type", ""), request.GET.get("event", "").strip()
        context: dict[str, Any] = {"problem": ""}
        try:
            event = self._event(request, event_id) if event_id else None
            chosen = event.type if event else chosen or example_type(list(webhook.events))
            context["rehearsal"] = preview_message(webhook, event, "" if event else chosen)
        except RepoGuardError as error:
            context["problem"] = error.message
        names = [found.example_name for found in catalogue.all()]
        context |= {
            "webhook": webhook,
            "original": webhook,
            "chosen": chosen,
            "event_id": event_id,
            "types": names if chosen in names or not chosen else [chosen, *names],
            "back": show.admin_url(Webhook, "change", webhook.pk),
        }
        return self.page(request, "portal/message.html", f"What {webhook.name} sends", **context)

    def _event(self, request: HttpRequest, event_id: str) -> Event:
        try:
            found = visible(Event.objects.all(), self.who(request)).filter(id=UUID(event_id)).first()
        except ValueError:
            found = None
        if found is None:
            raise InvalidInput.of("event", "is not the id of an event that you can see; the list of events shows them.")
        return found
