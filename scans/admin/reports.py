"""The page from which a report of a repository's findings is downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from access.admin_base import show
from access.principals import Principal
from access.selectors import visible
from core.ids import is_uuid
from integrations.models import Repository
from integrations.selectors.repositories import all_repositories
from scans.admin.filters import WORSE
from scans.admin.searching import named_repositories
from scans.choices import TRIAGES, Kind, Severity
from scans.models import Finding
from scans.reports.answering import ReportFormat
from scans.reports.scope import Shown
from scans.severities import WORST_FIRST

_ANY = ("", "any")
ABOUT = {
    ReportFormat.PDF: "to print or send: the two thousand worst findings",
    ReportFormat.HTML: "one page that opens anywhere: the five thousand worst findings",
    ReportFormat.CSV: "every finding, for a spreadsheet",
    ReportFormat.JSON: "every finding, with its description and decisions",
    ReportFormat.SARIF: "what is there now, for code scanning elsewhere",
    ReportFormat.VEX: "vulnerable packages and what was decided about them, for whoever uses the software",
}
_TAKEN = ("state", "triage", "kind")


class ReportForm(forms.Form):
    """What a report is narrowed to; its names are the API's."""

    ref = forms.CharField(max_length=255, required=False, label="Branch or ref", widget=UnfoldAdminTextInputWidget)
    state = forms.ChoiceField(choices=Shown.choices, required=False, label="Findings", widget=UnfoldAdminSelectWidget)
    min_severity = forms.ChoiceField(
        choices=[_ANY, *((one.value, f"{one.label} or worse") for one in WORST_FIRST if one != Severity.UNKNOWN)], required=False,
        label="Severity", widget=UnfoldAdminSelectWidget,
    )  # fmt: skip
    kind = forms.ChoiceField(choices=[_ANY, *Kind.choices], required=False, label="Kind", widget=UnfoldAdminSelectWidget)
    triage = forms.ChoiceField(choices=[_ANY, *TRIAGES], required=False, label="Triage", widget=UnfoldAdminSelectWidget)


def repository_of(request: HttpRequest, who: Principal) -> Repository | None:
    """Return the repository that the address names, of those the caller sees."""
    id = request.GET.get("repository", "")
    return visible(all_repositories(), who).filter(id=id).first() if is_uuid(id) else None


def page_of(repository: Repository, given: Mapping[str, str]) -> dict[str, Any]:
    """Return what the page shows."""
    initial = {"ref": repository.default_branch, **given}
    return {
        "repository": repository,
        "form": ReportForm(initial=initial),
        "formats": [(one.value, one.label, ABOUT[one]) for one in ReportFormat],
        "back": show.admin_url(Repository, "change", repository.pk),
    }


def address(repository: Repository, **given: str) -> str:
    """Return the address of the page about a repository."""
    query = urlencode({"repository": str(repository.pk), **given})
    return f"{show.admin_url(Finding, 'report')}?{query}"


def address_of_list(given: Mapping[str, str], who: Principal) -> str:
    """Return the address of a report of what the list shows, where its search names one repository; else nothing."""
    found = named_repositories(given.get("q", ""), who)
    if len(found) != 1:
        return ""
    taken = {name: given[name] for name in _TAKEN if given.get(name) in _known(name)}
    severity = given.get("severity", "").removesuffix(WORSE)
    if severity in Severity.values and (severity == Severity.CRITICAL or given["severity"].endswith(WORSE)):
        taken["min_severity"] = severity
    return address(found[0], **taken)


def _known(name: str) -> list[str]:
    return [value for value, _ in ReportForm.base_fields[name].choices if value]  # type: ignore[attr-defined]
