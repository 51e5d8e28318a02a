"""The page on which an import from GitHub is started, and what is special to following one."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from access.admin_base import show
from access.admin_base.base import PortalAdmin
from access.admin_base.buttons import Button
from builds.admin.import_form import GitHubImportForm
from builds.choices import ImportKind, ImportStatus
from builds.importing.control import resume_import, start_github_import
from builds.importing.progress import eta_seconds_of
from builds.models import BuildImport
from builds.selectors import shown_status
from core.errors import RepoGuardError
from integrations.models import Integration

PAGE = "builds_buildimport_github"


class GitHubImportPage(PortalAdmin):
    """Adds the page to the admin of imports."""

    def get_urls(self) -> list[URLPattern]:
        """Add its address."""
        return [path("add/github/", self.admin_site.admin_view(self.github_view), name=PAGE), *super().get_urls()]

    def github_view(self, request: HttpRequest) -> HttpResponse:
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
        pages = {"back": show.admin_url(BuildImport, "changelist"), "csv": show.admin_url(BuildImport, "add")}
        return self.page(request, "portal/build_import_start.html", "Import builds from GitHub", form=form, **pages)

    def github_address(self) -> str:
        """Return the address of the page."""
        return reverse(f"admin:{PAGE}")

    def github_buttons(self) -> list[Button]:
        """Return the button that only such imports have."""
        return [Button("resume", "Go on", "play_arrow", _go_on, _may_go_on, tone="primary")]

    def github_context(self, row: BuildImport) -> dict[str, Any]:
        """Return what the page of an import shows of one from GitHub."""
        if row.kind != ImportKind.GITHUB:
            return {}
        address = show.admin_url(Integration, "change", row.integration_id) if row.integration_id else ""
        return {"eta_seconds": eta_seconds_of(row), "from_github": True, "integration_url": address}


def _may_go_on(request: HttpRequest, row: Any) -> bool:
    return row.kind == ImportKind.GITHUB and shown_status(row) == ImportStatus.FAILED


def _go_on(request: HttpRequest, row: Any) -> HttpResponseBase:
    resume_import(row)
    messages.success(request, "It goes on where it stopped.")
    return HttpResponseRedirect(show.admin_url(BuildImport, "change", row.pk))
