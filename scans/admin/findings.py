"""Findings: what counts first, found by name, and a page on which people decide."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from access.admin_base import show
from access.admin_base.base import LogAdmin
from access.admin_base.buttons import Button
from access.admin_base.filters import SinceFilter, UntilFilter, choice_filter
from access.selectors import visible
from core.errors import RepoGuardError
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_reference
from scans.admin import reports, words
from scans.admin.decision_form import DecisionForm
from scans.admin.filters import (
    AgeFilter,
    CweFilter,
    EpssFilter,
    ExploitedFilter,
    PackageFilter,
    SeverityFilter,
    SourceFilter,
    StateFilter,
    TriageFilter,
)
from scans.admin.searching import NotFoundWord, found_findings
from scans.admin.trend import panel
from scans.choices import FindingState, Kind
from scans.feeds.states import exploited_among
from scans.gates.sla import due_at
from scans.models import Finding, Scan
from scans.reports.answering import ReportFormat, report
from scans.reports.scope import parse
from scans.selectors import accounts_of, decisions_of, shown_findings
from scans.services.triage import decide, take_back

_HEAVY = ("description", "cwe", "identifiers", "vulnerable_range", "purl", "url", "cvss_vector")


@admin.register(Finding)
class FindingAdmin(LogAdmin):
    """One weakness of one repository, whichever scanners report it."""

    owner_path = "repository__owner_id"
    empty_text = (
        "No finding counts: none is open on a default branch without a decision about it. Findings come from the reports of scanners, "
        "which CI uploads to POST /api/v1/scans/upload."
    )
    change_list_template = "portal/finding_list.html"
    list_display = (
        "shown_severity", "shown_title", "shown_exploit", "shown_place", "shown_repository", "shown_sources", "shown_state",
        "shown_triage", "shown_first", "shown_due",
    )  # fmt: skip
    list_display_links = ("shown_title",)
    list_filter = (
        SeverityFilter, ExploitedFilter, EpssFilter, StateFilter, TriageFilter, AgeFilter, choice_filter("kind", "kind", Kind.choices),
        PackageFilter, SourceFilter, CweFilter, SinceFilter, UntilFilter,
    )  # fmt: skip
    search_fields = ("id",)
    search_help_text = "repository, package, CVE, GHSA or id, in full; several narrow"

    def rows(self, request: HttpRequest) -> QuerySet[Finding]:
        """Return the findings with their repositories."""
        return shown_findings()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Finding]:
        """Return the findings that the caller sees; a list leaves out what only the page shows."""
        found: QuerySet[Finding] = super().get_queryset(request)
        match = request.resolver_match
        return found.defer(*_HEAVY) if match and str(match.url_name).endswith("_changelist") else found

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Find by names in full."""
        if not search_term.strip():
            return queryset, False
        try:
            return found_findings(queryset, search_term, self.who(request), self.get_queryset(request)), False
        except NotFoundWord as error:
            messages.warning(request, str(error))
            return queryset.none(), False

    def report_view(self, request: HttpRequest) -> HttpResponseBase:
        """Download a report, or show what it can be had as and narrowed to."""
        repository = reports.repository_of(request, self.who(request)) if self.has_view_permission(request) else None
        if repository is None:
            raise Http404
        given = {name: value for name, value in request.GET.dict().items() if value}
        if given.get("report_format") in ReportFormat.values:
            try:
                return report(parse(repository, given), given["report_format"])
            except RepoGuardError as error:
                messages.error(request, error.message)
        context = reports.page_of(repository, given)
        return self.page(request, "portal/report.html", "Report", subtitle=repository.full_name, **context)

    # --- The page of a finding ---

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of the form, the chart and the reports."""
        wrap = self.admin_site.admin_view
        own = [
            path("trend/", wrap(self.trend_view), name="scans_finding_trend"),
            path("report/", wrap(self.report_view), name="scans_finding_report"),
            path("<path:object_id>/decide/", wrap(self.decide_view), name="scans_finding_decide"),
        ]
        return [*own, *super().get_urls()]

    def trend_view(self, request: HttpRequest) -> HttpResponse:
        """Return the chart of open findings over time, of one repository where `repository` names it (its id or full name)."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        repositories = visible(Repository.objects.all(), self.who(request))
        about = request.GET.get("repository", "")
        chosen = repositories_by_reference([about], self.who(request))[about][:1] if about.isprintable() and about else []
        if about and not chosen:
            return HttpResponse()
        mine = repositories.filter(id=chosen[0].id) if chosen else repositories
        context = {"trend": panel(mine), "repository": chosen[0] if chosen else None}
        return TemplateResponse(request, "portal/finding_trend.html", context)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list below the chart of what it can be narrowed to: all repositories, or the one that is searched for.

        That one has a report, too.
        """
        about = next((word for word in request.GET.get("q", "").split() if "/" in word), "")
        chart = reverse("admin:scans_finding_trend")
        chart = f"{chart}?{urlencode({'repository': about})}" if about else chart
        context = {"trend_url": chart, "report_url": reports.address_of_list(request.GET.dict(), self.who(request))}
        return super().changelist_view(request, {**context, **(extra_context or {})})  # type: ignore[no-any-return]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a finding with what each scanner says of it and what people decided."""
        finding = self.get_object(request, unquote(object_id))
        if finding is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        if request.method == "POST" or not self.has_view_permission(request, finding):
            raise PermissionDenied
        return self._page(request, finding, DecisionForm())

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Decide about a finding, or show what is wrong with the form."""
        finding = self.get_object(request, unquote(object_id))
        if finding is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[no-any-return]
        page = HttpResponseRedirect(show.admin_url(Finding, "change", finding.pk))
        if not self.may_act(request, finding):
            raise PermissionDenied
        if request.method != "POST":
            return page
        form = DecisionForm(request.POST)
        if form.is_valid():
            try:
                decide(finding, form.decision())
            except RepoGuardError as error:
                form.show(error)
            else:
                messages.success(request, "It is decided; the finding no longer counts, in gates either.")
                return page
        return self._page(request, finding, form)

    def buttons(self) -> list[Button]:
        """Return what can be done with a finding beside deciding."""
        ask = "Take the decision back? The finding counts again, in gates too."
        return [Button("take-back", "Take the decision back", "undo", _take_back, _is_decided, confirm=ask)]

    def _page(self, request: HttpRequest, finding: Finding, form: DecisionForm) -> HttpResponse:
        accounts = [
            (one, words.severity_badge(_severity(one.reported)), _scan_link(one.first_scan_id), _scan_link(one.closed_scan_id))
            for one in accounts_of(finding)
        ]
        context = {
            "finding": finding,
            "original": finding,
            "severity": words.severity_badge(finding.severity, finding.severity_origin),
            "state": words.state_badge(finding),
            "triage": words.triage_badge(finding),
            "exploit": words.exploit_badges(finding),
            "epss_rank": f"{finding.epss_percentile:.1%}" if finding.epss_percentile is not None else "",
            "catalogue": exploited_among([value for _, value in finding.identifiers]) if finding.known_exploited else [],
            "due": words.due_badge(finding) if due_at(finding) else "",
            "heading": words.title(finding),
            "place": words.place(finding),
            "repository": words.repository_link(finding.repository),
            "identifiers": words.identifier_links(finding.identifiers),
            "url": words.outside(finding.url, finding.url),
            "accounts": accounts,
            "decisions": decisions_of(finding),
            "form": form if self.may_act(request, finding) else None,
            "decide_url": show.admin_url(Finding, "decide", finding.pk),
            "portal_buttons": self.shown_buttons(request, finding),
            "counts": finding.state == FindingState.OPEN and not finding.triage and not finding.suppressed,
        }
        return self.page(request, "portal/finding.html", "Finding", subtitle=words.title(finding, 200), **context)

    # --- Columns ---

    @admin.display(description="severity")
    def shown_severity(self, finding: Finding) -> SafeString:
        """Return how bad it is."""
        return words.severity_badge(finding.severity, finding.severity_origin)

    @admin.display(description="finding")
    def shown_title(self, finding: Finding) -> str:
        """Return its title, not too long for a list."""
        return words.title(finding, 120)

    @admin.display(description="exploits")
    def shown_exploit(self, finding: Finding) -> SafeString:
        """Return whether it is exploited, and how likely that is."""
        return words.exploit_badges(finding)

    @admin.display(description="where")
    def shown_place(self, finding: Finding) -> SafeString:
        """Return package and version, or path and line."""
        return show.code(words.place(finding))

    @admin.display(description="repository")
    def shown_repository(self, finding: Finding) -> SafeString:
        """Return the repository, as a link to its findings."""
        return show.link(words.findings_of(finding.repository), finding.repository.full_name)

    @admin.display(description="sources")
    def shown_sources(self, finding: Finding) -> SafeString:
        """Return the scanners that report it now."""
        return words.tools(finding.sources)

    @admin.display(description="state")
    def shown_state(self, finding: Finding) -> SafeString:
        """Return whether it is there."""
        return words.state_badge(finding)

    @admin.display(description="triage")
    def shown_triage(self, finding: Finding) -> SafeString:
        """Return what was decided."""
        return words.triage_badge(finding)

    @admin.display(description="to fix by")
    def shown_due(self, finding: Finding) -> SafeString:
        """Return until when it has to be fixed."""
        return words.due_badge(finding)

    @admin.display(description="first seen")
    def shown_first(self, finding: Finding) -> SafeString:
        """Return how long it is known."""
        return show.moment(finding.created_at)


def _severity(reported: Any) -> str:
    return str(reported.get("severity", "")) if isinstance(reported, dict) else ""


def _scan_link(id: Any) -> SafeString:
    return show.link(show.admin_url(Scan, "change", id), show.short(id)) if id else show.NOTHING


def _is_decided(request: HttpRequest, finding: Any) -> bool:
    return bool(finding.triage)


def _take_back(request: HttpRequest, finding: Any) -> HttpResponseBase:
    take_back(finding)
    messages.success(request, "The decision is taken back; the finding counts again where it is open.")
    return HttpResponseRedirect(show.admin_url(Finding, "change", finding.pk))
