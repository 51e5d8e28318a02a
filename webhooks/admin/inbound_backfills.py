"""Requests for missed deliveries in the admin: how far they are, live."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.filters import SinceFilter, UntilFilter, status_filter
from webhooks.admin.inbound_receipts import SourceFilter
from webhooks.choices import BackfillStatus
from webhooks.inbound.missed import shown_backfills, shown_status, with_status
from webhooks.models import InboundBackfill, InboundSource, Receipt

TONES = {"running": show.INFO, "waiting": show.WARN, "done": show.GOOD, "failed": show.BAD}
_LIVE = (BackfillStatus.RUNNING, BackfillStatus.WAITING)


@admin.register(InboundBackfill)
class InboundBackfillAdmin(LogAdmin):
    """They are started on the page of an inbound source, and by the portal."""

    empty_text = (
        "Here a platform is asked to send again what it delivered and what did not arrive. Choose an integration on the page of an inbound"
        " source, and press Request missed deliveries there."
    )
    list_display = ("shown_at", "shown_status", "shown_source", "looked_at", "requested", "gone", "shown_since", "shown_by")
    list_display_links = ("shown_at",)
    list_filter = (SourceFilter, status_filter(BackfillStatus.choices, with_status), SinceFilter, UntilFilter)

    def rows(self, request: HttpRequest) -> QuerySet[InboundBackfill]:
        """Return the requests with their sources' names."""
        return shown_backfills()

    def get_urls(self) -> list[URLPattern]:
        """Add the live part of the page."""
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live_view), name="webhooks_inboundbackfill_live")
        return [live, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a request for missed deliveries."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, row):
            raise PermissionDenied
        context = self._live_context(row)
        return self.page(request, "portal/inbound_backfill.html", "Missed deliveries", subtitle=row.source.name, **context)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it again and again."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        return TemplateResponse(request, "portal/inbound_backfill_live.html", self._live_context(row))

    def _live_context(self, row: InboundBackfill) -> dict[str, Any]:
        status = shown_status(row)
        return {
            "row": row,
            "status": status.value,
            "status_badge": self.shown_status(row),
            "live": status in _LIVE,
            "live_url": show.admin_url(InboundBackfill, "live", row.pk),
            "source_url": show.admin_url(InboundSource, "change", row.source_id),
            "log": f"{show.admin_url(Receipt, 'changelist')}?source={row.source_id}",
        }

    # --- Columns ---

    @admin.display(description="started (UTC)")
    def shown_at(self, row: InboundBackfill) -> SafeString:
        """Return when it was started."""
        return show.exact(row.created_at)

    @admin.display(description="status")
    def shown_status(self, row: InboundBackfill) -> SafeString:
        """Return where it stands."""
        status = shown_status(row)
        return show.badge(status.label, TONES[status], row.error)

    @admin.display(description="source")
    def shown_source(self, row: InboundBackfill) -> SafeString:
        """Return whose deliveries they are."""
        return show.link(show.admin_url(InboundSource, "change", row.source_id), row.source.name)

    @admin.display(description="from (UTC)")
    def shown_since(self, row: InboundBackfill) -> SafeString:
        """Return from when on deliveries are looked at."""
        return show.exact(row.since)

    @admin.display(description="started by")
    def shown_by(self, row: InboundBackfill) -> str:
        """Return who started it."""
        return "the portal" if row.automatic else row.started_by
