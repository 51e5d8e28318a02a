"""Analyses of builds: started here, and shown with charts."""

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
from access.admin_base.filters import choice_filter
from builds.admin.analysis_charts import percent
from builds.admin.analysis_form import PROJECTS, AnalysisForm, first_values, values_of
from builds.admin.analysis_page import page_of
from builds.analysis.selectors import analyses, recent_projects
from builds.analysis.start import start_analysis
from builds.api.analysis import csv_response
from builds.models import Analysis
from core.errors import RepoGuardError
from core.models.work import WorkState

TONES = {WorkState.QUEUED: show.QUIET, WorkState.RUNNING: show.INFO, WorkState.DONE: show.GOOD, WorkState.FAILED: show.BAD}


@admin.register(Analysis)
class AnalysisAdmin(LogAdmin):
    """Started by the form above the list."""

    empty_text = (
        "An analysis measures builds: success, durations, recovery, flakiness. Choose a project and a period above, and press Analyse."
    )

    change_list_template = "portal/analysis_list.html"
    list_display = ("shown_at", "shown_state", "shown_project", "shown_window", "shown_builds", "shown_success", "started_by")
    list_display_links = ("shown_at",)
    list_filter = (choice_filter("state", "state", WorkState.choices, "state"),)

    def rows(self, request: HttpRequest) -> QuerySet[Analysis]:
        """Return the analyses."""
        return analyses()

    # --- Starting one ---

    def get_urls(self) -> list[URLPattern]:
        """Add the start, the live part of a page and the download."""
        wrap = self.admin_site.admin_view
        return [
            path("start/", wrap(self.start_view), name="builds_analysis_start"),
            path("<path:object_id>/live/", wrap(self.live_view), name="builds_analysis_live"),
            path("<path:object_id>/csv/", wrap(self.csv_view), name="builds_analysis_csv"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below the form."""
        form = AnalysisForm(initial=first_values())
        found: HttpResponse = super().changelist_view(request, {**self._form_context(request, form), **(extra_context or {})})
        return found

    def start_view(self, request: HttpRequest) -> HttpResponseBase:
        """Start an analysis, or show what is wrong with the form."""
        if not self.may_act(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseRedirect(show.admin_url(Analysis, "changelist"))
        form = AnalysisForm(request.POST)
        if form.is_valid():
            try:
                analysis = start_analysis(form.values(), self.who(request))
            except RepoGuardError as error:
                form.show(error)
            else:
                return HttpResponseRedirect(show.admin_url(Analysis, "change", analysis.pk))
        return self.page(request, "portal/analysis_start.html", "Analyse builds", **self._form_context(request, form))

    def _form_context(self, request: HttpRequest, form: AnalysisForm) -> dict[str, Any]:
        projects = recent_projects(self.who(request))
        return {
            "analysis_form": form,
            "projects": projects,
            "projects_id": PROJECTS,
            "has_builds": bool(projects),
            "may_start": self.may_act(request),
            "start_url": show.admin_url(Analysis, "start"),
            "list_url": show.admin_url(Analysis, "changelist"),
        }

    # --- The page of an analysis ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show an analysis."""
        analysis = self.get_object(request, unquote(object_id))
        if analysis is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, analysis):
            raise PermissionDenied
        context = self._form_context(request, AnalysisForm(initial=values_of(analysis))) | self._context(analysis)
        return self.page(request, "portal/analysis.html", "Build analysis", subtitle=analysis.project or "all projects", **context)

    def live_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the part of the page that changes; the page asks for it until the analysis is ready."""
        analysis = self.get_object(request, unquote(object_id))
        if analysis is None or not self.has_view_permission(request, analysis):
            raise Http404
        return TemplateResponse(request, "portal/analysis_live.html", self._context(analysis))

    def csv_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Download the result."""
        analysis = self.get_object(request, unquote(object_id))
        if analysis is None or not self.has_view_permission(request, analysis):
            raise Http404
        try:
            return csv_response(analysis)
        except RepoGuardError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(show.admin_url(Analysis, "change", analysis.pk))

    def _context(self, analysis: Analysis) -> dict[str, Any]:
        return {
            "analysis": analysis,
            "original": analysis,
            "state_badge": self.shown_state(analysis),
            "waits": analysis.state in (WorkState.QUEUED, WorkState.RUNNING),
            "live_url": show.admin_url(Analysis, "live", analysis.pk),
            "csv_url": show.admin_url(Analysis, "csv", analysis.pk),
            "found": page_of(analysis.result) if analysis.result is not None else None,
        }

    # --- Columns ---

    @admin.display(description="started (UTC)")
    def shown_at(self, analysis: Analysis) -> SafeString:
        """Return when it was started."""
        return show.exact(analysis.created_at)

    @admin.display(description="state")
    def shown_state(self, analysis: Analysis) -> SafeString:
        """Return where it stands."""
        state = WorkState(analysis.state)
        return show.badge(state.label, TONES[state], analysis.error)

    @admin.display(description="project")
    def shown_project(self, analysis: Analysis) -> SafeString:
        """Return what it is of."""
        further = ", ".join(text for text in (analysis.branch, analysis.workflow) if text)
        return format_html("{} <span class='rg-faint'>{}</span>", analysis.project or "all projects", further)

    @admin.display(description="builds started (UTC)")
    def shown_window(self, analysis: Analysis) -> SafeString:
        """Return the window."""
        return format_html('<span class="rg-nowrap">{} –</span> {}', *(f"{at:%Y-%m-%d %H:%M}" for at in (analysis.since, analysis.until)))

    @admin.display(description="builds")
    def shown_builds(self, analysis: Analysis) -> str:
        """Return how many it is of."""
        return f"{analysis.builds:,}" if analysis.result is not None else "–"

    @admin.display(description="success")
    def shown_success(self, analysis: Analysis) -> str:
        """Return the success rate."""
        return percent(analysis.result["success_rate"]) if analysis.result is not None else "–"
