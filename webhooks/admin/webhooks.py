"""Webhooks in the admin."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.buttons import Button, ButtonField
from access.admin_base.filters import choice_filter
from access.principals import Principal
from access.selectors import visible
from core import redact, runtime
from core.errors import InvalidInput
from core.event_types import catalogue
from integrations.admin.call_filters import IntegrationFilter
from integrations.admin.uses import Use, add, counted_use
from integrations.models import Integration
from webhooks import services
from webhooks.admin.health import health, health_badge
from webhooks.admin.message import MessagePage
from webhooks.admin.recover import RecoverPage
from webhooks.admin.route_fields import RouteFields
from webhooks.admin.routing_form import in_words
from webhooks.admin.webhook_form import WebhookForm
from webhooks.admin.words import schedule_text
from webhooks.choices import Lane, WebhookStatus
from webhooks.destinations.binding import is_signed
from webhooks.holds import is_held
from webhooks.models import DueHint, Webhook, WebhookDelivery
from webhooks.retry import schedule_of
from webhooks.selectors import collecting, live_webhooks, stats

_ORDER = ("critical_first", "supersede", "expires_after")
KEPT = "it encrypted to sign with"
LINES = (
    "The receiver verifies the header webhook-signature with it (Standard Webhooks): the HMAC-SHA256 of webhook-id, "
    "webhook-timestamp and the body, with the base64-decoded part after whsec_ as the key.",
)


@add
def _of_integration(integration: Integration, who: Principal) -> Use:
    rows = visible(Webhook.objects.filter(integration=integration, deleted_at__isnull=True), who)
    return counted_use(rows, Webhook, integration, "webhook that sends through it", "webhooks that send through it")


@admin.register(Webhook)
class WebhookAdmin(RecoverPage, MessagePage):
    """Where events are sent."""

    empty_text = "A webhook says where events are sent, and which. Create one to receive them."
    shows_id = True
    form = WebhookForm
    list_display = ("name", "shown_health", "shown_waiting", "shown_url", "shown_events", "shown_owner", "shown_success")
    list_filter = (choice_filter("status", "status", WebhookStatus.choices), IntegrationFilter)
    search_fields = ("name", "url")
    search_help_text = "name or URL"
    ordering = ("-id",)
    delete_consequence = "Nothing is sent to it any more, and its delivery log goes with it. To pause it, disable it instead."
    readonly_fields = (
        "shown_url", "shown_events", "shown_repositories", "shown_filter", "shown_routing", "shown_headers", "shown_retries",
        "shown_rate", "shown_concurrency", "shown_priority", "shown_owner",
    )  # fmt: skip
    _shown = ("name", *readonly_fields)
    _sections = (
        ("Events", {"fields": ("events", "more_events", "repositories", "branches", "min_severity", "new_only", "filter")}),
        ("Digests", {"fields": ("digest", "digest_window", "digest_key", "digest_quiet", "digest_max")}),
        ("Delivery", {"fields": ("headers", "retries", "schedule", "rate_limit", "concurrency", "priority", *_ORDER)}),
    )

    def rows(self, request: HttpRequest) -> QuerySet[Webhook]:
        """Return the webhooks that were not deleted, with their state and what publishers left; never their secrets."""
        hints = DueHint.objects.filter(webhook_id=OuterRef("pk")).order_by().values("webhook_id").annotate(total=Sum("count"))
        waiting = Coalesce(Subquery(hints.values("total")), 0)
        return collecting(live_webhooks()).select_related("state").annotate(hinted=waiting)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form, or what is shown to those who only read."""
        if obj is not None and not self.has_change_permission(request, obj):
            return [(None, {"fields": self._shown})]
        options = RouteFields(self.who(request), obj).names()
        return [("Endpoint", {"fields": ("name", "integration", "url", *options, "payload_template", "owner")}), *self._sections]

    # --- Changes ---

    def save_model(self, request: HttpRequest, obj: Webhook, form: Any, change: bool) -> None:
        """Create or change the webhook through its service."""
        if change:
            services.update_webhook(obj, form.values())
            return
        webhook, secret = services.create_webhook(form.values())
        obj.__dict__.update(webhook.__dict__)
        request._portal_secret = secret  # type: ignore[attr-defined]

    def delete_model(self, request: HttpRequest, obj: Webhook) -> None:
        """Delete the webhook through its service."""
        services.delete_webhook(obj)

    def response_add(self, request: HttpRequest, obj: Webhook, post_url_continue: str | None = None) -> HttpResponse:
        """Show the new webhook's secret, where its requests are signed with one."""
        if not is_signed(obj.integration):
            messages.success(request, f"{obj.name} is ready. Press “Send test” to see it arrive.")
            return HttpResponseRedirect(show.admin_url(Webhook, "change", obj.pk))
        lead = f"{obj.name} is ready. This is the secret its requests are signed with."
        return self.secret_page(request, "Signing secret", request._portal_secret, obj, lead=lead, kept=KEPT, lines=LINES)  # type: ignore[attr-defined]

    def buttons(self) -> list[Button]:
        """Return what can be done with a webhook."""
        return [
            Button("test", "Send test", "send", self._test, _is_active, _test_types, tone="primary"),
            Button("rotate-secret", "Rotate secret", "sync_lock", self._rotate, fields=_overlap),
            Button("enable", "Enable", "play_arrow", self._enable, lambda request, hook: not _is_quiet(hook)),
            Button(
                "disable",
                "Disable",
                "pause",
                self._disable,
                _is_active,
                confirm="Disable it? Its deliveries are parked until it is enabled.",
            ),
        ]

    def _test(self, request: HttpRequest, webhook: Webhook) -> HttpResponseBase:
        delivery = services.send_test(webhook, request.POST.get("event_type") or None)
        return HttpResponseRedirect(show.admin_url(WebhookDelivery, "change", delivery.pk))

    def _rotate(self, request: HttpRequest, webhook: Webhook) -> HttpResponseBase:
        try:
            hours = float(request.POST["overlap_hours"]) if request.POST.get("overlap_hours") else None
        except ValueError:
            raise InvalidInput.of("overlap_hours", "must be a number of hours, such as 24.") from None
        secret = services.rotate_secret(webhook, hours)
        hours = runtime.current().secret_overlap_hours if hours is None else hours
        lead = f"The new secret of {webhook.name} signs from now on" + (
            f"; the old one signs as well for {hours:g} hours." if hours else "."
        )
        return self.secret_page(request, "New signing secret", secret, webhook, lead=lead, kept=KEPT, lines=LINES)

    def _enable(self, request: HttpRequest, webhook: Webhook) -> HttpResponseBase:
        services.enable(webhook)
        messages.success(request, f"{webhook.name} is enabled; what was parked leaves now.")
        return HttpResponseRedirect(show.admin_url(Webhook, "change", webhook.pk))

    def _disable(self, request: HttpRequest, webhook: Webhook) -> HttpResponseBase:
        services.disable(webhook)
        messages.success(request, f"{webhook.name} is disabled; new deliveries are parked.")
        return HttpResponseRedirect(show.admin_url(Webhook, "change", webhook.pk))

    # --- Pages ---

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        """Put the webhook's state above its form."""
        obj = kwargs.get("obj")
        if obj is not None:
            log = f"{show.admin_url(WebhookDelivery, 'changelist')}?webhook={obj.pk}"
            context |= {
                "portal_panel": "portal/webhook_panel.html",
                "stats": stats(obj.pk),
                "health": health(obj, obj.state),
                "log": log,
                "portal_links": [(log, "View deliveries", "outbox"), *self.message_links(request, obj), *self.recover_links(request, obj)],
            }
        return cast("HttpResponse", super().render_change_form(request, context, *args, **kwargs))

    @admin.display(description="health")
    def shown_health(self, webhook: Webhook) -> SafeString:
        """Return how it stands."""
        return health_badge(webhook, webhook.state)

    @admin.display(description="waiting")
    def shown_waiting(self, webhook: Webhook) -> SafeString:
        """Return how many deliveries are pending or parked."""
        waiting = max(0, webhook.state.pending_count + webhook.hinted)  # type: ignore[attr-defined]
        collected = webhook.digest_waiting  # type: ignore[attr-defined]
        if not waiting:
            return format_html('<span class="rg-nowrap">{} collected</span>', f"{collected:,}") if collected else show.NOTHING
        url = f"{show.admin_url(WebhookDelivery, 'changelist')}?webhook={webhook.pk}&status=pending"
        word = "parked" if is_held(webhook.state, timezone.now()) else "pending"
        return format_html('<a class="rg-link rg-nowrap" href="{}">{} {}</a>', url, f"{waiting:,}", word)

    @admin.display(description="sends to")
    def shown_url(self, webhook: Webhook) -> SafeString:
        """Return the URL without credentials, or the integration."""
        if webhook.integration is None:
            return show.code(redact.url(webhook.url))
        return format_html('{} <span class="rg-faint">{}</span>', webhook.integration.name, webhook.integration.type)

    @admin.display(description="events")
    def shown_events(self, webhook: Webhook) -> SafeString:
        """Return the first few subscriptions."""
        few = webhook.events[:4]
        codes = show.codes([*few, *([f"+{len(webhook.events) - 4}"] if len(webhook.events) > 4 else [])])
        rules = in_words(webhook.routing)
        return format_html('{} <span class="rg-faint">{}</span>', codes, "; ".join(rules)) if rules else codes

    @admin.display(description="repositories")
    def shown_repositories(self, webhook: Webhook) -> Any:
        """Return what it is limited to."""
        names = [str(row) for row in webhook.repositories.all()[:50]]
        return show.codes(names) if names else "all"

    @admin.display(description="filter")
    def shown_filter(self, webhook: Webhook) -> Any:
        """Return the conditions."""
        return show.block(show.pretty(webhook.filter)) if webhook.filter else "none: every event"

    @admin.display(description="rules")
    def shown_routing(self, webhook: Webhook) -> str:
        """Return what holds events back, collects and orders them."""
        return "; ".join(in_words(webhook.routing)) or "none: each event at once"

    @admin.display(description="extra headers")
    def shown_headers(self, webhook: Webhook) -> str:
        """Return that there are some or none."""
        return "set, never shown" if Webhook.objects.filter(pk=webhook.pk, headers__isnull=False).exists() else "not set"

    @admin.display(description="retries")
    def shown_retries(self, webhook: Webhook) -> str:
        """Return the schedule in words."""
        delays = schedule_of(webhook.retry_config)
        return f"at once, then after {schedule_text(delays)}" if delays else "one attempt only"

    @admin.display(description="rate limit")
    def shown_rate(self, webhook: Webhook) -> str:
        """Return the rate limit."""
        return f"{webhook.rate_limit:g} a second" if webhook.rate_limit else "none"

    @admin.display(description="concurrency")
    def shown_concurrency(self, webhook: Webhook) -> int:
        """Return how many requests may be open at once."""
        return webhook.concurrency

    @admin.display(description="priority")
    def shown_priority(self, webhook: Webhook) -> str:
        """Return the lane."""
        return str(Lane(webhook.priority).label)

    @admin.display(description="owner")
    def shown_owner(self, webhook: Webhook) -> str:
        """Return whose it is."""
        return str(webhook.owner) if webhook.owner else "the admins"

    @admin.display(description="last success")
    def shown_success(self, webhook: Webhook) -> SafeString:
        """Return when it last worked."""
        return show.moment(webhook.state.last_success_at)


def _is_active(request: HttpRequest, webhook: Webhook) -> bool:
    return webhook.status == WebhookStatus.ACTIVE


def _is_quiet(webhook: Webhook) -> bool:
    """Say whether there is nothing that enabling would end."""
    state = webhook.state
    return state.enabled and not is_held(state, timezone.now()) and not state.failing_since


def _test_types(request: HttpRequest, webhook: Webhook) -> list[ButtonField]:
    names = [("", "a test event"), *((event_type.name, f"example of {event_type.name}") for event_type in catalogue.all())]
    return [ButtonField("event_type", "what to send", "select", choices=tuple(names))]


def _overlap(request: HttpRequest, webhook: Webhook) -> list[ButtonField]:
    return [ButtonField("overlap_hours", "old secret signs for (hours)", value=str(runtime.current().secret_overlap_hours))]
