"""The delivery log: read-only, with the attempts of a delivery side by side, Redeliver and Cancel."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.buttons import Button
from access.admin_base.filters import ChoiceFilter, SinceFilter, UntilFilter, choice_filter
from access.principals import principal
from access.selectors import visible
from core import runtime
from core.event_types import catalogue
from core.ids import is_uuid
from core.models import Event
from webhooks import services
from webhooks.admin.attempts import as_shown
from webhooks.choices import DeliveryStatus, ErrorClass
from webhooks.envelope import envelope
from webhooks.models import Webhook, WebhookDelivery
from webhooks.selectors import ATTEMPTS_SHOWN, deliveries, follow_up, latest_attempts, live_webhooks

TONES = {"success": show.GOOD, "failed": show.BAD, "pending": show.INFO, "cancelled": show.QUIET}
WEBHOOKS_OFFERED = 200
LIVE_SECONDS = 600
FOLLOWED_SECONDS = 5


class WebhookFilter(ChoiceFilter):
    """One webhook among those the caller sees."""

    title, parameter_name, field = "webhook", "webhook", "webhook_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the newest webhooks, by name."""
        rows = visible(live_webhooks(), principal(request)).order_by("-id").values_list("id", "name")[:WEBHOOKS_OFFERED]
        return sorted(((str(key), name) for key, name in rows), key=lambda pair: pair[1].lower())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the chosen webhook; none for what is no id."""
        if self.value() and not is_uuid(str(self.value())):
            return queryset.none()
        return super().queryset(request, queryset)


def _event_types() -> list[tuple[str, str]]:
    return [(event_type.name, event_type.name) for event_type in catalogue.all() if not event_type.name.endswith(".*")]


@admin.register(WebhookDelivery)
class DeliveryAdmin(LogAdmin):
    """What was sent to whom, how often, and with which result."""

    empty_text = "Every event that a webhook wants is listed here; press Send test on a webhook's page to make one."
    list_display = (
        "shown_at",
        "shown_status",
        "event_type",
        "shown_webhook",
        "shown_attempts",
        "shown_answer",
        "shown_error",
        "shown_next",
    )
    list_display_links = ("shown_at", "event_type")
    list_filter = (
        choice_filter("status", "status", DeliveryStatus.choices),
        WebhookFilter,
        choice_filter("event_type", "event type", _event_types),
        choice_filter("last_error_class", "last error", ErrorClass.choices),
        SinceFilter,
        UntilFilter,
    )
    search_fields = ("id",)
    search_help_text = "id of a delivery, an event or a webhook"

    def rows(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        """Return the deliveries as of now."""
        return deliveries()

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find by an exact id: each kind has an index of its own, so it is asked which one it is."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if not is_uuid(term):
            messages.warning(request, f"“{term[:60]}” is not an id. Paste the id of a delivery, an event or a webhook.")
            return queryset.none(), False
        key = uuid.UUID(term)
        if WebhookDelivery.objects.filter(id=key).exists():
            return queryset.filter(id=key), False
        return queryset.filter(**{"webhook_id" if Webhook.objects.filter(id=key).exists() else "event_id": key}), False

    def buttons(self) -> list[Button]:
        """Return what can be done with a delivery."""
        return [
            Button("redeliver", "Redeliver", "replay", self._redeliver, lambda request, row: not row.in_flight, tone="primary"),
            Button("cancel", "Cancel", "cancel", self._cancel, _is_waiting, confirm="Give this delivery up? It is not sent any more."),
        ]

    def _redeliver(self, request: HttpRequest, delivery: WebhookDelivery) -> HttpResponseBase:
        services.redeliver(delivery)
        messages.success(request, "It is sent again now, under the same event id. The attempt appears below as soon as it has ended.")
        return HttpResponseRedirect(show.admin_url(WebhookDelivery, "change", delivery.pk))

    def _cancel(self, request: HttpRequest, delivery: WebhookDelivery) -> HttpResponseBase:
        services.cancel(delivery)
        messages.success(request, "The delivery is cancelled.")
        return HttpResponseRedirect(show.admin_url(WebhookDelivery, "change", delivery.pk))

    # --- The page of a delivery ---

    def get_urls(self) -> list[URLPattern]:
        """Add the live part of the page."""
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live_view), name="webhooks_webhookdelivery_live")
        return [live, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a delivery with all that is known of it."""
        delivery = self.get_object(request, unquote(object_id))
        if delivery is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, delivery):
            raise PermissionDenied
        shows_body = runtime.current().log_request_bodies
        body = show.pretty(envelope(Event.objects.get(id=delivery.event_id))) if shows_body else ""
        webhook, context = delivery.webhook, self._live_context(request, delivery) | {"body": body, "shows_body": shows_body}
        if webhook.integration_id is not None or webhook.payload_template_id is not None:
            context["message_url"] = f"{show.admin_url(Webhook, 'message', webhook.pk)}?event={delivery.event_id}"
            context["has_template"] = webhook.payload_template_id is not None
        return self.page(request, "portal/delivery.html", "Delivery", subtitle=delivery.event_type, **context)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes while a delivery is under way; the page asks for it again and again."""
        delivery = self.get_object(request, unquote(object_id))
        if delivery is None or not self.has_view_permission(request, delivery):
            raise Http404
        return TemplateResponse(request, "portal/delivery_live.html", self._live_context(request, delivery))

    def _live_context(self, request: HttpRequest, delivery: WebhookDelivery) -> dict[str, Any]:
        shown = as_shown(latest_attempts(delivery))
        live, followed = _is_live(delivery), follow_up(delivery)
        return {
            "delivery": delivery,
            "status_badge": self.shown_status(delivery),
            "attempts": shown[::-1],
            "attempts_left_out": max(0, delivery.attempts - len(shown)) if len(shown) == ATTEMPTS_SHOWN else 0,
            "live": live,
            "look_seconds": 1 if live else FOLLOWED_SECONDS if followed is not None and followed.goes_on else 0,
            "follow_up": followed,
            "live_url": show.admin_url(WebhookDelivery, "live", delivery.pk),
            "webhook_url": show.admin_url(Webhook, "change", delivery.webhook_id),
            "event_url": show.admin_url(Event, "change", delivery.event_id),
            "portal_buttons": self.shown_buttons(request, delivery),
        }

    # --- Columns ---

    @admin.display(description="time (UTC)")
    def shown_at(self, delivery: WebhookDelivery) -> SafeString:
        """Return when it was created."""
        return show.exact(delivery.created_at)

    @admin.display(description="status")
    def shown_status(self, delivery: WebhookDelivery) -> SafeString:
        """Return the status, or that it is parked or under way."""
        if delivery.status == DeliveryStatus.PENDING:
            if delivery.in_flight:  # type: ignore[attr-defined]
                return show.badge("sending", show.INFO, "Its request is under way.")
            if delivery.parked:  # type: ignore[attr-defined]
                return show.badge("parked", show.WARN, "Due, but its webhook is disabled or held.")
            if delivery.attempts:
                return show.badge("retrying", show.WARN, "It failed and is tried again.")
        return show.badge(delivery.get_status_display(), TONES.get(delivery.status, show.QUIET))

    @admin.display(description="webhook")
    def shown_webhook(self, delivery: WebhookDelivery) -> SafeString:
        """Return the webhook."""
        return show.link(show.admin_url(Webhook, "change", delivery.webhook_id), delivery.webhook_name)  # type: ignore[attr-defined]

    @admin.display(description="attempts")
    def shown_attempts(self, delivery: WebhookDelivery) -> int:
        """Return how often it was tried."""
        return delivery.attempts

    @admin.display(description="answer")
    def shown_answer(self, delivery: WebhookDelivery) -> Any:
        """Return the last status code."""
        return delivery.last_status_code or show.NOTHING

    @admin.display(description="last error")
    def shown_error(self, delivery: WebhookDelivery) -> SafeString:
        """Return how the last attempt failed."""
        if not delivery.last_error_class:
            # a delivery that succeeds says here why its platform need not hear of the event
            return format_html('<span title="{}">nothing was sent</span>', delivery.last_error) if delivery.last_error else show.NOTHING
        return format_html('<span title="{}">{}</span>', delivery.last_error, delivery.get_last_error_class_display())

    @admin.display(description="next attempt")
    def shown_next(self, delivery: WebhookDelivery) -> SafeString:
        """Return when it is tried next."""
        waits = delivery.status == DeliveryStatus.PENDING and not delivery.parked  # type: ignore[attr-defined]
        return show.moment(delivery.next_attempt_at) if waits else show.NOTHING


def _is_waiting(request: HttpRequest, delivery: Any) -> bool:
    return delivery.status == DeliveryStatus.PENDING and not delivery.in_flight


def _is_live(delivery: Any) -> bool:
    """Say whether the page should look again: it is under way, or due soon and not parked."""
    if delivery.status != DeliveryStatus.PENDING or delivery.parked:
        return False
    due = delivery.next_attempt_at
    return delivery.in_flight or due is None or (due - timezone.now()).total_seconds() < LIVE_SECONDS
