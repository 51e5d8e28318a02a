"""The form by which people decide about a finding."""

from __future__ import annotations

from datetime import UTC, datetime, time

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from core.errors import RepoGuardError
from scans.choices import Triage
from scans.services.triage import MAX_REASON, Decision

_MEANINGS = {
    Triage.ACCEPTED: "Accept the risk: it is real, and we live with it",
    Triage.FALSE_POSITIVE: "False positive: the scanner is wrong",
    Triage.IGNORED: "Ignore: it does not matter to us",
}
_LAST_SECOND = time(23, 59, 59)


class DecisionForm(forms.Form):
    """What, why, and until when."""

    triage = forms.ChoiceField(
        label="Decision", choices=[(one.value, text) for one, text in _MEANINGS.items()], widget=UnfoldAdminSelectWidget
    )
    reason = forms.CharField(
        label="Reason", max_length=MAX_REASON, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), help_text="Auditors will ask why."
    )
    expires_at = forms.DateField(
        label="Until",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="The last day (UTC) on which it holds; from the next on the finding counts again. Empty: until it is taken back.",
    )

    def decision(self) -> Decision:
        """Return what the service takes."""
        day = self.cleaned_data["expires_at"]
        until = datetime.combine(day, _LAST_SECOND, tzinfo=UTC) if day else None
        return Decision(self.cleaned_data["triage"], self.cleaned_data["reason"], until)

    def show(self, error: RepoGuardError) -> None:
        """Put a refusal of the service beside the fields it names."""
        for name, sentences in error.fields.items():
            self.add_error(name if name in self.fields else None, [sentence[:1].upper() + sentence[1:] for sentence in sentences])
        if not error.fields:
            self.add_error(None, error.message)
