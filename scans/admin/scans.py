"""Scans: what came in, what became of it, and what the gate said after it."""

from __future__ import annotations

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
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter
from core.models.work import WorkState
from integrations.admin.call_filters import IntegrationFilter
from scans.admin import reports, words
from scans.admin.diff_page import diff_of
from scans.admin.searching import NotFoundWord, found_scans
from scans.choices import ENDED, ScanStatus
from scans.models import Finding, Scan
from scans.selectors import gate_after, shown_scans
from scans.services.requesting import cancel_scan


@admin.register(Scan)
class ScanAdmin(LogAdmin):
    """One report of one scanner about one commit."""

    owner_path = "repository__owner_id"
    empty_text = (
        "Reports of scanners that CI uploads to POST /api/v1/scans/upload are listed here, and scans of integrations: add a scan source."
    )
    list_display = (
        "shown_at", "shown_status", "shown_repository", "shown_source", "shown_tools", "shown_ref", "shown_commit", "shown_total", "new",
        "fixed",
    )  # fmt: skip
    list_display_links = ("shown_at",)
    list_filter = (choice_filter("status", "status", ScanStatus.choices), IntegrationFilter, SinceFilter, UntilFilter)
    search_fields = ("id",)
    search_help_text = "repository (owner/name) or id; a commit after a repository"

    def rows(self, request: HttpRequest) -> QuerySet[Scan]:
        """Return the scans with their repositories."""
        return shown_scans()

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find by names in full."""
        if not search_term.strip():
            return queryset, False
        try:
            return found_scans(queryset, search_term, self.who(request)), False
        except NotFoundWord as error:
            messages.warning(request, str(error))
            return queryset.none(), False

    def get_urls(self) -> list[URLPattern]:
        """Add the live part of the page, and the comparison with another scan."""
        wrap = self.admin_site.admin_view
        own = [
            path("<path:object_id>/live/", wrap(self.live_view), name="scans_scan_live"),
            path("<path:object_id>/diff/", wrap(self.diff_view), name="scans_scan_diff"),
        ]
        return [*own, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a scan."""
        scan = self.get_object(request, unquote(object_id))
        if scan is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, scan):
            raise PermissionDenied
        more = {"original": scan, "portal_buttons": self.shown_buttons(request, scan)}
        return self.page(request, "portal/scan.html", "Scan", subtitle=scan.repository.full_name, **self._context(scan), **more)

    def buttons(self) -> list[Button]:
        """Return what can be done with a scan."""
        ask = "Cancel this scan? What it has read so far is dropped; findings stay as they are."
        return [Button("cancel", "Cancel", "cancel", _cancel, _waits, confirm=ask)]

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it until the scan has ended."""
        scan = self.get_object(request, unquote(object_id))
        if scan is None or not self.has_view_permission(request, scan):
            raise Http404
        return TemplateResponse(request, "portal/scan_live.html", self._context(scan))

    def diff_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what differs from another scan of the repository."""
        scan = self.get_object(request, unquote(object_id))
        if scan is None or not self.has_view_permission(request, scan):
            raise Http404
        base = request.GET.get("base", "")
        return self.page(request, "portal/scan_diff.html", "Comparison", subtitle=scan.repository.full_name, **diff_of(scan, base))

    def _context(self, scan: Scan) -> dict[str, Any]:
        gate, broken = gate_after(scan)
        return {
            "scan": scan,
            "status": self.shown_status(scan),
            "live": scan.status not in ENDED,
            "live_url": show.admin_url(Scan, "live", scan.pk),
            "read": int(scan.progress.get("read", 0)),
            "pages": int(scan.progress.get("pages", 0)),
            "source": words.source(scan),
            "next_try": scan.run_after if scan.state == WorkState.QUEUED and scan.error else None,
            "repository": words.repository_link(scan.repository),
            "severities": words.counts(scan.by_severity),
            "tools": show.codes(scan.tools),
            "gate": gate,
            "gate_badge": words.gate_badge(gate.decision) if gate else "",
            "broken": [
                (words.severity_badge(one.severity), _address(one), words.title(one), words.place(one), number + 1)
                for one, number in broken
            ],
            "findings_url": words.findings_of(scan.repository),
            "report_url": reports.address(scan.repository, ref=scan.ref),
            "diff_url": show.admin_url(Scan, "diff", scan.pk) if scan.status in (ScanStatus.COMPLETED, ScanStatus.PARTIAL) else "",
        }

    # --- Columns ---

    @admin.display(description="came (UTC)")
    def shown_at(self, scan: Scan) -> SafeString:
        """Return when it came in."""
        return show.exact(scan.created_at)

    @admin.display(description="status")
    def shown_status(self, scan: Scan) -> SafeString:
        """Return where it stands."""
        return show.badge(ScanStatus(scan.status).label, words.STATUSES[ScanStatus(scan.status)], scan.error)

    @admin.display(description="repository")
    def shown_repository(self, scan: Scan) -> SafeString:
        """Return the repository, as a link to its page."""
        return words.repository_link(scan.repository)

    @admin.display(description="from")
    def shown_source(self, scan: Scan) -> SafeString:
        """Return what it was read from, and what started it."""
        return format_html("{}, {}", words.source(scan), scan.get_trigger_display()) if scan.pulled else words.source(scan)

    @admin.display(description="total")
    def shown_total(self, scan: Scan) -> str:
        """Return how many findings it reports, or how many are here so far."""
        if scan.status in ENDED or "read" not in scan.progress:
            return f"{scan.total} changed" if scan.pulled and not scan.complete else str(scan.total)
        return f"{scan.progress['read']} of {'?' if scan.expected is None else scan.expected}"

    @admin.display(description="tools")
    def shown_tools(self, scan: Scan) -> SafeString:
        """Return the scanners that the report speaks for."""
        return words.tools(scan.tools)

    @admin.display(description="ref")
    def shown_ref(self, scan: Scan) -> str:
        """Return what was scanned."""
        return show.cut_line(scan.ref, 60)

    @admin.display(description="commit")
    def shown_commit(self, scan: Scan) -> SafeString:
        """Return the beginning of the commit."""
        return format_html('<span class="rg-nowrap">{}</span>', show.code(scan.commit[:10]))


def _waits(request: HttpRequest, scan: Any) -> bool:
    return scan.status not in ENDED and scan.state == WorkState.QUEUED


def _cancel(request: HttpRequest, scan: Any) -> HttpResponseBase:
    cancel_scan(scan)
    messages.success(request, "The scan is cancelled.")
    return HttpResponseRedirect(show.admin_url(Scan, "change", scan.pk))


def _address(finding: Finding) -> str:
    return show.admin_url(Finding, "change", finding.pk)
