"""The log of outbound calls in the admin: read-only, redacted, newest first."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter
from core.models import RequestLog
from core.models.outbound import CallOutcome, CallPurpose
from integrations.admin.call_filters import EndpointFilter, IntegrationFilter, PurposeFilter, StatusFilter
from integrations.admin.integration_columns import OUTCOME_TONES, OUTCOME_WORDS, outcome_badge
from integrations.models import Integration

MOST_PATH, MOST_ERROR = 34, 70


@admin.register(RequestLog)
class RequestLogAdmin(LogAdmin):
    """Every call of an integration, also those refused before anything was sent."""

    empty_text = "Every call that an integration makes is listed here; press Test connection on an integration's page to make one."
    list_display = (
        "shown_time",
        "shown_integration",
        "shown_outcome",
        "shown_call",
        "shown_took",
        "shown_error",
    )
    list_filter = (
        IntegrationFilter,
        choice_filter("outcome", "outcome", [(outcome.value, OUTCOME_WORDS.get(outcome, outcome.value)) for outcome in CallOutcome]),
        PurposeFilter,
        EndpointFilter,
        StatusFilter,
        SinceFilter,
        UntilFilter,
    )

    def rows(self, request: HttpRequest) -> QuerySet[RequestLog]:
        """Return the calls with the names of their integrations."""
        name = Integration.objects.filter(pk=OuterRef("integration_id")).values("name")[:1]
        return RequestLog.objects.annotate(integration_name=Subquery(name))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one call."""
        call = self.get_object(request, unquote(object_id))
        if call is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, call):
            raise PermissionDenied
        outcome = CallOutcome(call.outcome)
        return self.page(
            request,
            "portal/outbound_call.html",
            "Outbound call",
            subtitle=f"{call.method} {call.url}"[:200],
            call=call,
            outcome=outcome_badge(call.outcome),
            outcome_label=outcome.label,
            tone=OUTCOME_TONES[outcome],
            purpose=CallPurpose(call.purpose).label,
            integration=self._integration(call),
            body=show.pretty_text(call.response_body),
        )

    def _integration(self, call: Any) -> Any:
        if not call.integration_name:
            return f"not stored ({show.short(call.integration_id)})" if call.integration_id else "none"
        return show.link(show.admin_url(Integration, "change", call.integration_id), call.integration_name)

    # --- Columns ---

    @admin.display(description="time (UTC)")
    def shown_time(self, call: RequestLog) -> SafeString:
        """Return when it began."""
        return show.exact(call.started_at)

    @admin.display(description="integration")
    def shown_integration(self, call: RequestLog) -> Any:
        """Return whose call it was, as a link."""
        return self._integration(call)

    @admin.display(description="outcome")
    def shown_outcome(self, call: RequestLog) -> SafeString:
        """Return how it ended, with the status of the answer."""
        return format_html("{} {}", outcome_badge(call.outcome), call.status_code or "")

    @admin.display(description="call")
    def shown_call(self, call: RequestLog) -> SafeString:
        """Return method and path, under it what it was made for, and the try where it was not the first; the URL is the title."""
        parts = urlsplit(call.url)
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        text = path if len(path) <= MOST_PATH else f"{path[: MOST_PATH - 1]}…"
        purpose = str(CallPurpose(call.purpose).label)
        under = [purpose, call.endpoint, f"try {call.attempt}" if call.attempt > 1 else ""]
        return format_html(
            '<code class="rg-code rg-nowrap" title="{}">{} {}</code><br><small class="rg-faint">{}</small>',
            call.url, call.method, text, ", ".join(part for part in under if part),
        )  # fmt: skip

    @admin.display(description="took")
    def shown_took(self, call: RequestLog) -> Any:
        """Return how long it took."""
        return (
            format_html('<span class="rg-nowrap">{} ms</span>', f"{call.duration_ms:,.0f}")
            if call.duration_ms is not None
            else show.NOTHING
        )

    @admin.display(description="what happened")
    def shown_error(self, call: RequestLog) -> Any:
        """Return the beginning of the error."""
        if not call.error:
            return show.NOTHING
        text = call.error if len(call.error) <= MOST_ERROR else f"{call.error[: MOST_ERROR - 1]}…"
        return format_html('<span title="{}" style="display:block;min-width:160px">{}</span>', call.error, text)
