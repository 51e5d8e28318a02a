"""Recoveries: how far they are, live, with pause, resume and cancel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.buttons import Button
from access.admin_base.filters import status_filter
from webhooks import services
from webhooks.admin.deliveries import WebhookFilter
from webhooks.models import Replay, Webhook, WebhookDelivery
from webhooks.models.replay import ReplayStatus
from webhooks.recovery import progress_of, results_of, shown_status, with_status

TONES = {"running": show.INFO, "paused": show.WARN, "done": show.GOOD, "cancelled": show.QUIET, "failed": show.BAD}
_LIVE = {ReplayStatus.RUNNING.value, ReplayStatus.PAUSED.value}


@admin.register(Replay)
class ReplayAdmin(LogAdmin):
    """They are started on the page of a webhook."""

    empty_text = "A recovery sends failed deliveries again. Press Recover deliveries on a webhook's page."
    list_display = ("shown_at", "shown_status", "shown_webhook", "shown_progress", "shown_range", "shown_rate", "started_by")
    list_display_links = ("shown_at",)
    list_filter = (WebhookFilter, status_filter(ReplayStatus.choices, with_status))

    def rows(self, request: HttpRequest) -> QuerySet[Replay]:
        """Return the recoveries with their webhook's name."""
        return Replay.objects.select_related("webhook").defer("webhook__secrets", "webhook__headers")

    def buttons(self) -> list[Button]:
        """Return what can be done with a recovery."""
        ask = "Cancel this recovery? What was requeued already is still sent."
        pause, resume = _does(services.pause_replay, "It pauses within seconds."), _does(services.resume_replay, "It goes on.")
        cancel = _does(services.cancel_replay, "It is cancelled.")
        return [
            Button("pause", "Pause", "pause", pause, _is("running"), tone="primary"),
            Button("resume", "Resume", "play_arrow", resume, _is("paused", "failed"), tone="primary"),
            Button("cancel", "Cancel", "cancel", cancel, _is("running", "paused", "failed"), confirm=ask),
        ]

    # --- The page of a recovery ---

    def get_urls(self) -> list[URLPattern]:
        """Add the live part of the page."""
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live_view), name="webhooks_replay_live")
        return [live, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a recovery."""
        replay = self.get_object(request, unquote(object_id))
        if replay is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, replay):
            raise PermissionDenied
        return self.page(request, "portal/replay.html", "Recovery", subtitle=replay.webhook.name, **self._live_context(request, replay))

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it again and again."""
        replay = self.get_object(request, unquote(object_id))
        if replay is None or not self.has_view_permission(request, replay):
            raise Http404
        return TemplateResponse(request, "portal/replay_live.html", self._live_context(request, replay))

    def _live_context(self, request: HttpRequest, replay: Replay) -> dict[str, Any]:
        progress, status, results = progress_of(replay), shown_status(replay), results_of(replay)
        log = f"{show.admin_url(WebhookDelivery, 'changelist')}?webhook={replay.webhook_id}"
        return {
            "replay": replay,
            "status": status,
            "status_badge": self.shown_status(replay),
            "progress": progress,
            "results": results,
            "live": status in _LIVE or results.waiting > 0,
            "live_url": show.admin_url(Replay, "live", replay.pk),
            "webhook_url": show.admin_url(Webhook, "change", replay.webhook_id),
            "log": log,
            "portal_buttons": self.shown_buttons(request, replay),
        }

    # --- Columns ---

    @admin.display(description="started (UTC)")
    def shown_at(self, replay: Replay) -> SafeString:
        """Return when it was started."""
        return show.exact(replay.created_at)

    @admin.display(description="status")
    def shown_status(self, replay: Replay) -> SafeString:
        """Return where it stands."""
        status = shown_status(replay)
        return show.badge(ReplayStatus(status).label, TONES[status], replay.error)

    @admin.display(description="webhook")
    def shown_webhook(self, replay: Replay) -> SafeString:
        """Return the webhook."""
        return show.link(show.admin_url(Webhook, "change", replay.webhook_id), replay.webhook.name)

    @admin.display(description="sent again")
    def shown_progress(self, replay: Replay) -> str:
        """Return how many deliveries were requeued, of how many."""
        return f"{replay.requeued:,} of {replay.estimated:,} ({progress_of(replay).percent:g} %)"

    @admin.display(description="deliveries of (UTC)")
    def shown_range(self, replay: Replay) -> SafeString:
        """Return the range of time."""
        return format_html('<span class="rg-nowrap">{} –</span> {}', show.exact(replay.since), show.exact(replay.until))

    @admin.display(description="at most")
    def shown_rate(self, replay: Replay) -> str:
        """Return the capped rate."""
        return f"{replay.rate_per_second:g} a second"


def _is(*statuses: str) -> Callable[[HttpRequest, Any], bool]:
    return lambda request, replay: shown_status(replay) in statuses


def _does(service: Callable[[Replay], Replay], sentence: str) -> Callable[[HttpRequest, Any], HttpResponseBase]:
    def do(request: HttpRequest, replay: Any) -> HttpResponseBase:
        service(replay)
        messages.success(request, sentence)
        return HttpResponseRedirect(show.admin_url(Replay, "change", replay.pk))

    return do
