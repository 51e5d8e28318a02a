"""Imports of builds: how far they are, live, with cancel; and the form that takes a TravisTorrent file."""

from __future__ import annotations

from typing import Any

from django import forms
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
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter, status_filter
from builds.admin.github_import import GitHubImportPage
from builds.choices import ImportKind, ImportStatus
from builds.importing.starting import cancel_import, import_csv
from builds.models import Build, BuildImport
from builds.selectors import percent_of, shown_status, with_status
from core.errors import RepoGuardError
from core.unpacking import CHUNK

TONES = {"running": show.INFO, "waiting": show.WARN, "done": show.GOOD, "cancelled": show.QUIET, "failed": show.BAD}
_LIVE = {ImportStatus.RUNNING.value, ImportStatus.WAITING.value}


class CsvForm(forms.Form):
    """A TravisTorrent file."""

    file = forms.FileField(
        label="File",
        allow_empty_file=True,  # which is said by the service, in words that help
        help_text="CSV with the columns of TravisTorrent, plain or gzip. Each build is stored once, however many jobs it has.",
    )


@admin.register(BuildImport)
class BuildImportAdmin(GitHubImportPage, LogAdmin):
    """Builds that are read in bulk."""

    empty_text = "An import reads builds of GitHub Actions, or a TravisTorrent file. Press Add build import; its page leads to both."

    list_display = ("shown_at", "shown_status", "shown_kind", "shown_progress", "seen", "created", "updated", "rejected", "started_by")
    list_display_links = ("shown_at",)
    list_filter = (
        choice_filter("kind", "kind", ImportKind.choices),
        status_filter(ImportStatus.choices, with_status),
        SinceFilter,
        UntilFilter,
    )

    def rows(self, request: HttpRequest) -> QuerySet[BuildImport]:
        """Return the imports with the names of their integrations."""
        return BuildImport.objects.select_related("integration").defer("integration__credentials", "integration__previous_credentials")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Say whether the caller may start an import: the log itself stays read-only."""
        return self._may_write(request) and request.user.has_perm("builds.add_buildimport")

    def buttons(self) -> list[Button]:
        """Return what can be done with an import."""
        ask = "Cancel this import? The builds that it stored stay."
        return [
            *self.github_buttons(),
            Button("cancel", "Cancel", "cancel", self._cancel, lambda request, row: shown_status(row) in _LIVE, confirm=ask),
        ]

    def _cancel(self, request: HttpRequest, row: BuildImport) -> HttpResponseBase:
        cancel_import(row)
        messages.success(request, "It is cancelled; what was stored stays.")
        return HttpResponseRedirect(show.admin_url(BuildImport, "change", row.pk))

    # --- The form ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """Take a file in."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = CsvForm(request.POST, request.FILES) if request.method == "POST" else CsvForm()
        if request.method == "POST" and form.is_valid():
            try:
                row = import_csv(form.cleaned_data["file"].chunks(CHUNK), self.who(request).default_owner_id)
            except RepoGuardError as error:
                said = error.message.removeprefix("file: ")
                form.add_error("file", said[:1].upper() + said[1:])
            else:
                messages.success(request, "The file is taken in, and read by a worker; this page follows it.")
                return HttpResponseRedirect(show.admin_url(BuildImport, "change", row.pk))
        back = show.admin_url(BuildImport, "changelist")
        return self.page(
            request, "portal/import_csv.html", "Import a TravisTorrent CSV", form=form, back=back, github=self.github_address()
        )

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
        return self.page(request, "portal/build_import.html", "Import of builds", subtitle=str(row), **self._live_context(request, row))

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it again and again."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_permission(request, row):
            raise Http404
        return TemplateResponse(request, "portal/build_import_live.html", self._live_context(request, row))

    def _live_context(self, request: HttpRequest, row: BuildImport) -> dict[str, Any]:
        return {
            "row": row,
            "kind": row.get_kind_display(),
            "status": shown_status(row),
            "status_badge": self.shown_status(row),
            "percent": percent_of(row),
            "live": shown_status(row) in _LIVE,
            "live_url": show.admin_url(BuildImport, "live", row.pk),
            "log": f"{show.admin_url(Build, 'changelist')}?source={row.kind}",
            "portal_buttons": self.shown_buttons(request, row),
            **self.github_context(row),
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

    @admin.display(description="of")
    def shown_kind(self, row: BuildImport) -> SafeString:
        """Return what it reads."""
        return format_html("{}{}", row.get_kind_display(), f", {row.project}" if row.project else "")

    @admin.display(description="progress")
    def shown_progress(self, row: BuildImport) -> Any:
        """Return the share that is done, as a bar."""
        percent = percent_of(row)
        if percent is None:
            return show.NOTHING
        bar = '<span class="rg-track"><i style="width:{}%"></i></span> {} %'
        return format_html(f'<span class="rg-nowrap">{bar}</span>', f"{percent:.1f}", f"{percent:g}")
