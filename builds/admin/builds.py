"""The log of builds: read-only, newest first, never counted."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter
from builds.choices import BuildStatus
from builds.models import Build
from core.ids import is_uuid
from integrations.models import Repository

TONES = {
    "queued": show.QUIET, "running": show.INFO, "success": show.GOOD, "failure": show.BAD, "timed_out": show.BAD,
    "cancelled": show.QUIET, "skipped": show.QUIET,
}  # fmt: skip
SOURCES = ("api", "circleci", "github", "gitlab", "jenkins", "travistorrent")
_UNKNOWN = format_html('<span class="rg-faint">{}</span>', "not known")
_COMMIT = frozenset("0123456789abcdef")


@admin.register(Build)
class BuildAdmin(LogAdmin):
    """CI runs of every system, one row for each attempt."""

    empty_text = "Builds come from inbound webhooks, POST /api/v1/builds, or an import of GitHub Actions: see Build imports."

    list_display = ("shown_at", "shown_status", "shown_project", "shown_build", "branch", "shown_commit", "shown_took", "source")
    list_display_links = ("shown_at",)
    list_filter = (
        choice_filter("status", "status", BuildStatus.choices),
        choice_filter("source", "source", [(name, name) for name in SOURCES]),
        SinceFilter,
        UntilFilter,
    )
    search_fields = ("id",)
    search_help_text = "project (owner/name), commit or id, in full"

    def rows(self, request: HttpRequest) -> QuerySet[Build]:
        """Return the builds with their owners, without what only the detail shows."""
        return Build.objects.select_related("owner__user", "owner__team").defer("extra")

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find by what has an index, in full: the term's form says which it is."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if is_uuid(term):
            return queryset.filter(id=uuid.UUID(term)), False
        if "/" in term:
            return queryset.filter(project=term), False
        if len(term) < 7 or not set(term.lower()) <= _COMMIT:
            messages.warning(request, f"“{term[:60]}” is no project like acme/shop, no commit and no id.")
            return queryset.none(), False
        return queryset.filter(commit=term), False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one build."""
        build = self.get_object(request, unquote(object_id))
        if build is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, build):
            raise PermissionDenied
        log = show.admin_url(Build, "changelist")
        context = {
            "build": build,
            "status_badge": self.shown_status(build),
            "took": self.shown_took(build),
            "repository_url": show.admin_url(Repository, "change", build.repository_id) if build.repository_id else "",
            "same_project": format_html("{}?q={}", log, build.project),
            "same_commit": format_html("{}?q={}", log, build.commit) if build.commit else "",
            "extra": show.pretty(build.extra) if build.extra else "",
        }
        return self.page(request, "portal/build.html", "Build", subtitle=str(build)[:200], **context)

    # --- Columns ---

    @admin.display(description="started (UTC)")
    def shown_at(self, build: Build) -> SafeString:
        """Return when it started; a queued one has not."""
        return show.exact(build.started_at) if build.started_at else _UNKNOWN

    @admin.display(description="status")
    def shown_status(self, build: Build) -> SafeString:
        """Return how it stands, with the system's own word as the title."""
        return show.badge(build.get_status_display(), TONES.get(build.status, show.QUIET), build.conclusion)

    @admin.display(description="project")
    def shown_project(self, build: Build) -> SafeString:
        """Return the project, as a link to its builds."""
        return show.link(f"?q={build.project}", build.project) if "/" in build.project else format_html("{}", build.project)

    @admin.display(description="build")
    def shown_build(self, build: Build) -> SafeString:
        """Return workflow and number, as a link to the CI system where there is one."""
        attempt = f", attempt {build.attempt}" if build.attempt > 1 else ""
        text = f"{build.workflow} {build.number or build.build_id}{attempt}".strip()
        if not build.url:
            return format_html("{}", text)
        return format_html('<a class="rg-link" href="{}" rel="noopener noreferrer" target="_blank">{}</a>', build.url, text)

    @admin.display(description="commit")
    def shown_commit(self, build: Build) -> SafeString:
        """Return the beginning of the commit."""
        return show.code(build.commit[:10])

    @admin.display(description="took")
    def shown_took(self, build: Build) -> SafeString:
        """Return its duration."""
        if build.duration_seconds is None:
            return show.NOTHING
        minutes, seconds = divmod(round(build.duration_seconds), 60)
        return format_html('<span class="rg-nowrap">{}</span>', f"{minutes} min {seconds} s" if minutes else f"{seconds} s")
