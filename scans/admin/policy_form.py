"""The form of a policy: its name, its repository, days by severity, and a row for each condition."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from access.principals import Principal
from core.errors import InvalidInput, RepoGuardError
from integrations.models import Repository
from integrations.selectors.repositories import repositories_by_reference
from scans.choices import Kind, Severity
from scans.gates.conditions import MOST_CONDITIONS, MOST_DAYS, SLA_SEVERITIES, USUAL_SLA, Among
from scans.models import Policy

_BLANK_ROWS = 2
_SLA = "sla_"
_LABELS = {Severity.CRITICAL: "critical", Severity.UNKNOWN: "any severity"}


class PolicyForm(forms.Form):
    """What the policy is called and whose commits it is about."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Nothing new that is high"}))
    repository = forms.CharField(
        required=False, max_length=300, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "acme/shop", "autocomplete": "off"})
    )

    def __init__(self, who: Principal, policy: Policy | None, data: Any = None) -> None:
        days = policy.sla_days if policy else USUAL_SLA
        super().__init__(data, initial={_SLA + name: number for name, number in days.items()} | ({"name": policy.name} if policy else {}))
        self.who = who
        for one in SLA_SEVERITIES:
            widget = UnfoldAdminIntegerFieldWidget(attrs={"min": 1, "max": MOST_DAYS, "placeholder": "no limit"})
            self.fields[_SLA + one.value] = forms.IntegerField(label=f"Days to fix {one.label} ones", required=False, widget=widget)
        if policy is not None:  # it stays the repository's for good
            del self.fields["repository"]
            return
        every = "; empty: of every repository without a policy of its own" if who.is_admin else ""
        self.fields["repository"].help_text = f"owner/name, or its id{every}. It can't be changed later."
        self.fields["repository"].required = not who.is_admin

    def sla_days(self) -> dict[str, int]:
        """Return the days that are given."""
        found = {one.value: self.cleaned_data[_SLA + one.value] for one in SLA_SEVERITIES}
        return {name: days for name, days in found.items() if days is not None}

    def names(self) -> list[forms.BoundField]:
        """Return the fields above the days."""
        return [self[name] for name in self.fields if not name.startswith(_SLA)]

    def days(self) -> list[forms.BoundField]:
        """Return the fields of the days."""
        return [self[name] for name in self.fields if name.startswith(_SLA)]

    def clean_repository(self) -> Repository | None:
        """Return the repository, None for every one without a policy."""
        text = self.cleaned_data["repository"].strip()
        if not text:
            return None
        found = repositories_by_reference([text], self.who)[text]
        if not found:
            raise forms.ValidationError(f"“{text[:100]}” is not known here; see Repositories for those that are.")
        if len(found) > 1:
            raise forms.ValidationError("Repositories at several providers have this name; write the id, which its page shows.")
        return found[0]


class ConditionForm(forms.Form):
    """A condition; a row without `among` is none."""

    field_order = ("among", "severity", "most", "since", "min_epss", "only_fixable", "known_exploited", "over_sla", "kinds")

    among = forms.ChoiceField(
        label="Look at",
        required=False,
        choices=[("", "– no condition –"), *((one.value, str(one.label)) for one in Among)],
        widget=UnfoldAdminSelectWidget,
    )
    severity = forms.ChoiceField(
        label="Severity",
        choices=[(one.value, _LABELS.get(one, f"{one.label} or worse")) for one in Severity],
        initial=Severity.HIGH.value,
        widget=UnfoldAdminSelectWidget,
    )
    most = forms.IntegerField(label="How many are allowed", initial=0, widget=UnfoldAdminIntegerFieldWidget(attrs={"min": 0}))
    only_fixable = forms.BooleanField(label="Only those with a fixed version", required=False)
    kinds = forms.MultipleChoiceField(
        label="Kinds", required=False, choices=Kind.choices, widget=forms.CheckboxSelectMultiple, help_text="None checked: every kind."
    )
    known_exploited = forms.BooleanField(label="Only those that are known to be exploited", required=False)
    over_sla = forms.BooleanField(label="Only those past their days to fix", required=False)
    min_epss = forms.FloatField(
        label="Only from this EPSS on",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "0.1", "inputmode": "decimal"}),
        help_text="Chance of being exploited within 30 days, above 0 and at most 1. Empty: any.",
    )
    since = forms.DateField(
        label="New means since this day",
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Empty: what the default branch lacks, and on it what the commit brought.",
    )


class ConditionRows(forms.BaseFormSet):  # type: ignore[type-arg]
    """The rows, of which blank ones are left out."""

    def used(self) -> list[int]:
        """Return the numbers of the rows that are conditions."""
        return [number for number, form in enumerate(self.forms) if form.cleaned_data.get("among")]

    def values(self) -> list[dict[str, Any]]:
        """Return what the service takes."""
        return [_condition(self.forms[number].cleaned_data) for number in self.used()]


def _condition(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "since": row["since"].isoformat() if row["since"] else None}


_Rows = forms.formset_factory(
    ConditionForm, formset=ConditionRows, extra=_BLANK_ROWS, max_num=MOST_CONDITIONS, absolute_max=MOST_CONDITIONS, validate_max=True
)


def rows_of(conditions: list[dict[str, Any]], data: Any = None) -> ConditionRows:
    """Return the rows of these conditions, and blank ones to fill in."""
    return _Rows(data, initial=conditions, prefix="conditions")  # type: ignore[return-value]


def show_refusal(form: PolicyForm, rows: ConditionRows, error: RepoGuardError) -> None:
    """Put a refusal of the service beside the field it names, also of a row."""
    said = error.fields
    if not said and error.message.startswith("repository: "):
        said = InvalidInput.of("repository", error.message.removeprefix("repository: ")).fields
    for name, sentences in said.items():
        about, _, rest = name.partition(".")
        number, _, field = rest.partition(".")
        wanted: forms.Form = form
        name = _SLA + number if about == "sla_days" else name
        if about == "conditions" and number.isdecimal() and int(number) < len(rows.used()):
            wanted, name = rows.forms[rows.used()[int(number)]], field
        wanted.add_error(name if name in wanted.fields else None, [sentence[:1].upper() + sentence[1:] for sentence in sentences])
    if not said:
        form.add_error(None, error.message)
