"""The form that starts an analysis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from builds.analysis.start import AnalyzeValues, Window
from builds.models import Analysis
from core.errors import RepoGuardError

NOTHING, BEFORE, OTHER = "", "before", "other"
PROJECTS = "rg-projects"
_LOCAL = "%Y-%m-%dT%H:%M"
_FORMATS = [_LOCAL, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]

_ONLY_OTHER = {"data-only-if": "compare", "data-only-if-values": OTHER}


def _name(label: str, placeholder: str, **attrs: str) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder, **attrs})
    return forms.CharField(label=label, required=False, max_length=255, widget=widget)


def _time(label: str, help_text: str = "", **attrs: str) -> forms.DateTimeField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local", **attrs})
    return forms.DateTimeField(label=label, help_text=help_text, required=False, widget=widget, input_formats=_FORMATS)


class AnalysisForm(forms.Form):
    """Which builds, and what to compare them with; times are UTC."""

    project = _name("Project", "all projects", list=PROJECTS, autocomplete="off")
    branch = _name("Branch", "all branches")
    workflow = _name("Workflow", "all workflows")
    since = _time("From (UTC)", "Empty: from the first build on.")
    until = _time("Until (UTC)", "Empty: until now.")
    compare = forms.ChoiceField(
        label="Compare with",
        required=False,
        choices=[(NOTHING, "nothing"), (BEFORE, "the period before, as long"), (OTHER, "another window")],
        widget=UnfoldAdminSelectWidget,
    )
    compare_since = _time("Other window from (UTC)", **_ONLY_OTHER)
    compare_until = _time("Other window until (UTC)", **_ONLY_OTHER)

    def clean(self) -> dict[str, Any]:
        """Ask for the other window where it is chosen."""
        data = super().clean() or {}
        if data.get("compare") == OTHER:
            for name in ("compare_since", "compare_until"):
                if not data.get(name) and name not in self.errors:
                    self.add_error(name, "Say which window to compare with.")
        return data

    def values(self) -> AnalyzeValues:
        """Return what the service takes."""
        data = self.cleaned_data
        other: Window | None = {} if data["compare"] == BEFORE else None
        if data["compare"] == OTHER:
            other = {"since": data["compare_since"], "until": data["compare_until"]}
        return AnalyzeValues(
            project=data["project"],
            branch=data["branch"],
            workflow=data["workflow"],
            since=data["since"],
            until=data["until"],
            compare=other,
        )

    def show(self, error: RepoGuardError) -> None:
        """Put a refusal of the service beside the fields it names."""
        for name, sentences in error.fields.items():
            field = name.replace(".", "_")
            self.add_error(field if field in self.fields else None, [sentence[:1].upper() + sentence[1:] for sentence in sentences])
        if not error.fields:
            self.add_error(None, error.message)


def first_values() -> dict[str, str]:
    """Return what a fresh form says: the last 30 days, and those before."""
    return {"since": _local(timezone.now() - timedelta(days=30)), "compare": BEFORE}


def values_of(analysis: Analysis) -> dict[str, str]:
    """Return what a form says that would repeat an analysis."""
    found = {name: getattr(analysis, name) for name in ("project", "branch", "workflow")}
    found |= {"since": _local(analysis.since), "until": _local(analysis.until)}
    if analysis.compare_since and analysis.compare_until:
        found |= {"compare": OTHER, "compare_since": _local(analysis.compare_since), "compare_until": _local(analysis.compare_until)}
    return found


def _local(at: datetime) -> str:
    return at.astimezone(UTC).strftime(_LOCAL)
