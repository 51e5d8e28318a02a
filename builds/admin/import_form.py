"""The form of an import from GitHub."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from access.principals import Principal
from builds.importing.control import ImportValues, offered_integrations
from core.errors import RepoGuardError

_LOCAL = "%Y-%m-%dT%H:%M"


def _text(label: str, help_text: str, placeholder: str, *, required: bool = False) -> forms.CharField:
    widget = UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder})
    return forms.CharField(label=label, help_text=help_text, required=required, max_length=255, widget=widget)


def _time(label: str, help_text: str) -> forms.DateTimeField:
    widget = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"})
    formats = [_LOCAL, "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d"]
    return forms.DateTimeField(label=label, help_text=help_text, required=False, widget=widget, input_formats=formats)


class GitHubImportForm(forms.Form):
    """Which runs become builds; times are UTC."""

    project = _text("Repository", "owner/name, or the address of its page.", "acme/shop", required=True)
    integration = forms.ChoiceField(label="Sign in with", required=False, widget=UnfoldAdminSelectWidget)
    branch = _text("Branch", "Empty: all.", "main")
    workflow = _text("Workflow", "File name, id or name; empty: all.", "test.yml")
    since = _time("From (UTC)", "Runs that were created from then on; empty: from the beginning.")
    until = _time("Until (UTC)", "Before this time; empty: until now.")

    def __init__(self, who: Principal, data: Any = None, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        offered = [(str(row.id), row.name) for row in offered_integrations(who)]
        field: Any = self.fields["integration"]
        field.choices = [("", "nothing: public repositories only, 60 calls an hour"), *offered]
        field.help_text = "An integration with GitHub whose token or app may read Actions."
        if len(offered) == 1:
            field.initial = offered[0][0]

    def values(self) -> ImportValues:
        """Return what the service takes."""
        data = self.cleaned_data
        return ImportValues(
            project=data["project"],
            integration_id=data["integration"] or None,
            branch=data["branch"],
            workflow=data["workflow"],
            since=data["since"],
            until=data["until"],
        )

    def show(self, error: RepoGuardError) -> None:
        """Put a refusal of the service beside the fields it names."""
        for name, sentences in error.fields.items():
            self.add_error(name if name in self.fields else None, [sentence[:1].upper() + sentence[1:] for sentence in sentences])
        if not error.fields:
            self.add_error(None, error.message)
