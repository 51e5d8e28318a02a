"""Imports: started here, then followed live, with cancel and resume."""

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
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.buttons import Button
from builds.admin.import_form import GitHubImportForm
from builds.choices import ImportStatus
from builds.importing.control import cancel_import, resume_import, start_github_import
from builds.importing.progress import UNFINISHED, eta_seconds_of
from builds.models import BuildImport
from builds.selectors import percent_of, shown_status
from core.errors import RepoGuardError
from integrations.models import Integration

TONES = {"running": show.INFO, "waiting": show.WARN, "done": show.GOOD, "cancelled": show.QUIET, "failed": show.BAD}


@admin.register(BuildImport)
class BuildImportAdmin(LogAdmin):
    """Builds that are fetched in bulk."""

    list_display = ("shown_at", "shown_status", "project", "shown_progress", "created", "updated", "started_by")
    list_display_links = ("shown_at",)
    list_filter = ()

    def rows(self, request: HttpRequest) -> QuerySet[BuildImport]:
        """Return the imports with the names of their integrations."""
        return BuildImport.objects.select_related("integration").defer("integration__credentials", "integration__previous_credentials")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say whether the role may start imports, though it edits none."""
        return self._may_write(request) and bool(ModelAdmin.has_add_permission(self, request))

    def buttons(self) -> list[Button]:
        """Return what can be done with an import."""
        return [
            Button("resume", "Go on", "play_arrow", _does(resume_import, "It goes on where it stopped."), _is("failed"), tone="primary"),
            Button(
                "cancel",
                "Cancel",
                "cancel",
                _does(cancel_import, "It is cancelled."),
                _is(*UNFINISHED, "failed"),
                confirm="Cancel this import? The builds that it stored stay.",
            ),
        ]

    # --- Starting one ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the form, or start an import from GitHub."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        wanted = {name: request.GET[name] for name in ("project", "integration") if name in request.GET}
        form = GitHubImportForm(self.who(request), request.POST if request.method == "POST" else None, wanted)
        if request.method == "POST" and form.is_valid():
            try:
                row = start_github_import(form.values(), self.who(request))
            except RepoGuardError as error:
                form.show(error)
            else:
                messages.success(request, "The import is started; this page follows it.")
                return HttpResponseRedirect(show.admin_url(BuildImport, "change", row.pk))
        back = show.admin_url(BuildImport, "changelist")
        return self.page(request, "portal/build_import_start.html", "Import builds from GitHub", form=form, back=back)

    # --- The page of an import ---

    def get_urls(self) -> list[URLPattern]:
        """Add the live part of the page."""
        live = path("<path:object_id>/live/", self.admin_site.admin_view(self.live_view), name="builds_buildimport_live")
        return [live, *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an import."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, row):
            raise PermissionDenied
        return self.page(request, "portal/build_import.html", "Build import", subtitle=row.project, **self._live_context(request, row))

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it again and again."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        return TemplateResponse(request, "portal/build_import_live.html", self._live_context(request, row))

    def _live_context(self, request: HttpRequest, row: BuildImport) -> dict[str, Any]:
        status = shown_status(row)
        return {
            "row": row,
            "status": status,
            "status_badge": self.shown_status(row),
            "percent": percent_of(row),
            "eta_seconds": eta_seconds_of(row),
            "live": status in UNFINISHED,
            "live_url": show.admin_url(BuildImport, "live", row.pk),
            "integration_url": show.admin_url(Integration, "change", row.integration_id) if row.integration_id else "",
            "portal_buttons": self.shown_buttons(request, row),
        }

    # --- Columns ---

    @admin.display(description="started (UTC)")
    def shown_at(self, row: BuildImport) -> SafeString:
        """Return when it was started."""
        return show.exact(row.created_at)

    @admin.display(description="status")
    def shown_status(self, row: BuildImport) -> SafeString:
        """Return where it stands."""
        status = shown_status(row)
        return show.badge(ImportStatus(status).label, TONES[status], row.error)

    @admin.display(description="runs")
    def shown_progress(self, row: BuildImport) -> str:
        """Return how many runs were seen, of how many."""
        return f"{row.seen:,} of {row.total:,}" if row.total is not None else f"{row.seen:,}"


def _is(*statuses: str) -> Callable[[HttpRequest, Any], bool]:
    return lambda request, row: shown_status(row) in statuses


def _does(service: Callable[[BuildImport], BuildImport], sentence: str) -> Callable[[HttpRequest, Any], HttpResponseBase]:
    def do(request: HttpRequest, row: Any) -> HttpResponseBase:
        service(row)
        messages.success(request, sentence)
        return HttpResponseRedirect(show.admin_url(BuildImport, "change", row.pk))

    return do
