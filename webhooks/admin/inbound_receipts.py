"""What came in, in the admin: read-only, with its reason and a button to interpret it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.buttons import Button
from access.admin_base.filters import ChoiceFilter, SinceFilter, UntilFilter, choice_filter
from core.ids import is_uuid
from core.models import Event
from webhooks.choices import ReceiptOutcome, ReprocessableOutcome, Verdict
from webhooks.inbound import reprocess
from webhooks.inbound.selectors import of_verdict, shown_receipts, shown_request
from webhooks.models import InboundSource, Receipt

TONES = {"processed": show.GOOD, "waiting": show.INFO, "failed": show.BAD, "ignored": show.QUIET, "duplicate": show.QUIET}
_OUTCOMES = [choice for choice in ReceiptOutcome.choices if choice[0] not in ("", ReceiptOutcome.DUPLICATE)]
_SOURCES_OFFERED = 200


class SourceFilter(ChoiceFilter):
    """By source."""

    title, parameter_name, field = "source", "source", "source_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the sources that the caller sees."""
        rows = model_admin.admin_site.get_model_admin(InboundSource).get_queryset(request).order_by("name")[:_SOURCES_OFFERED]
        return [(str(row.pk), row.name) for row in rows]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the requests to the chosen source; there are none to what is no id."""
        value = str(self.value() or "")
        return queryset.filter(source_id=value) if is_uuid(value) else queryset.none() if value else queryset


class VerdictFilter(ChoiceFilter):
    """Accepted or refused, as the API filters them."""

    title = parameter_name = field = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the verdicts."""
        return [(str(value), str(label)) for value, label in Verdict.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the requests with the chosen verdict."""
        return of_verdict(queryset, str(self.value())) if self.value() else queryset


@admin.register(Receipt)
class ReceiptAdmin(LogAdmin):
    """The log of what came in."""

    empty_text = "Every request that other systems send to an inbound source is listed here."

    list_display = ("shown_at", "shown_result", "shown_source", "event", "shown_reason", "shown_size", "remote_address")
    list_display_links = ("shown_at",)
    list_filter = (
        SourceFilter, VerdictFilter, choice_filter("outcome", "outcome", _OUTCOMES),
        SinceFilter, UntilFilter,
    )  # fmt: skip

    def rows(self, request: HttpRequest) -> QuerySet[Receipt]:
        """Return the requests without bodies; duplicates only where one is opened."""
        match = request.resolver_match
        return shown_receipts(duplicates=bool(match and match.kwargs.get("object_id")))

    def buttons(self) -> list[Button]:
        """Return what can be done with a request."""
        return [Button("reprocess", "Reprocess", "restart_alt", self._reprocess, _ended, tone="primary")]

    def get_urls(self) -> list[URLPattern]:
        """Add the live part of the page."""
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live_view), name="webhooks_receipt_live")
        return [live, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a request with its headers and body."""
        receipt = self.get_object(request, unquote(object_id))
        if receipt is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, receipt):
            raise PermissionDenied
        shown = shown_request(receipt)
        context = {
            **self._live_context(request, receipt),
            "headers": None if shown.headers is None else sorted(shown.headers.items()),
            "body": None if shown.body is None else show.pretty_text(shown.body),
            "truncated": shown.truncated,
            "dropped": ", ".join(shown.dropped),
        }
        return self.page(request, "portal/receipt.html", "Inbound event", subtitle=str(receipt), **context)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return what changes while a worker interprets the request; the page asks for it again and again."""
        receipt = self.get_object(request, unquote(object_id))
        if receipt is None or not self.has_view_permission(request, receipt):
            raise Http404
        return TemplateResponse(request, "portal/receipt_live.html", self._live_context(request, receipt))

    def _live_context(self, request: HttpRequest, receipt: Receipt) -> dict[str, Any]:
        return {
            "receipt": receipt,
            "result": self.shown_result(receipt),
            "source_url": show.admin_url(InboundSource, "change", receipt.source_id),
            "live": receipt.outcome == ReceiptOutcome.WAITING,
            "live_url": show.admin_url(Receipt, "live", receipt.pk),
            "events": _became(receipt),
            "portal_buttons": self.shown_buttons(request, receipt),
        }

    def _reprocess(self, request: HttpRequest, receipt: Receipt) -> HttpResponseBase:
        reprocess.reprocess(receipt)
        messages.success(request, "It is interpreted again, and this page follows it; what it became before is not published twice.")
        return HttpResponseRedirect(show.admin_url(Receipt, "change", receipt.pk))

    # --- Columns ---

    @admin.display(description="time (UTC)")
    def shown_at(self, receipt: Receipt) -> SafeString:
        """Return when it came."""
        return show.exact(receipt.received_at)

    @admin.display(description="outcome")
    def shown_result(self, receipt: Receipt) -> SafeString:
        """Return what came of it."""
        if receipt.verdict == Verdict.REFUSED:
            return show.badge("refused", show.WARN, receipt.reason)
        return show.badge(ReceiptOutcome(receipt.outcome).label, TONES.get(receipt.outcome, show.QUIET), receipt.error)

    @admin.display(description="source")
    def shown_source(self, receipt: Receipt) -> SafeString:
        """Return whose request it is."""
        return show.link(show.admin_url(InboundSource, "change", receipt.source_id), receipt.source.name)

    @admin.display(description="reason")
    def shown_reason(self, receipt: Receipt) -> Any:
        """Return why it was refused or failed."""
        return (receipt.reason or receipt.error)[:150] or show.NOTHING

    @admin.display(description="bytes")
    def shown_size(self, receipt: Receipt) -> str:
        """Return the size of its body."""
        return f"{receipt.size:,}"


def _became(receipt: Receipt) -> list[tuple[str, str]]:
    """Return the events that a request became: their types and addresses; only the ids of those that are kept no longer."""
    types = dict(Event.objects.filter(id__in=receipt.event_ids).values_list("id", "type")) if receipt.event_ids else {}
    known = {str(key): event_type for key, event_type in types.items()}
    ids = [str(key) for key in receipt.event_ids]
    return [(known.get(key, key), show.admin_url(Event, "change", key) if key in known else "") for key in ids]


def _ended(request: HttpRequest, receipt: Receipt) -> bool:
    return receipt.verdict == Verdict.ACCEPTED and receipt.outcome in ReprocessableOutcome.values
