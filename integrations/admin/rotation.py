"""The page on which credentials are rotated."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldBooleanSwitchWidget

from core import runtime
from core.errors import InvalidInput, RepoGuardError
from integrations.contract.fields import Field
from integrations.contract.schema import AGAIN, beside_field, form_fields, form_values
from integrations.models import Integration
from integrations.registry import find
from integrations.selectors.integrations import credentials_set
from integrations.services import integrations as services
from integrations.services.credentials import LONGEST_OVERLAP_HOURS

_PREFIX = "s_"


class RotateForm(forms.Form):
    """The secret fields of an integration that apply to its configuration; those left empty stay."""

    def __init__(self, integration: Integration, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.integration = integration
        self.declared = _secret_fields(integration)
        secrets = [name for name, present in (credentials_set(integration) or {}).items() if present]
        self.fields.update(form_fields(self.declared, {}, secrets=secrets, prefix=_PREFIX, removable=True))
        self.fields["overlap_hours"] = forms.FloatField(
            required=False,
            initial=runtime.current().credentials_overlap_hours,
            min_value=0,
            max_value=LONGEST_OVERLAP_HOURS,
            label="Keep the old ones for (hours)",
            widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
            help_text="So long they can be restored by a button. 0: they are forgotten at once.",
        )
        self.fields["force"] = forms.BooleanField(
            required=False,
            label="Store them untested",
            widget=UnfoldBooleanSwitchWidget,
            help_text="Only if you know that the service can't be asked at the moment.",
        )

    @property
    def has_secrets(self) -> bool:
        """Say whether there is anything to rotate."""
        return bool(self.declared)

    def rotate(self) -> str:
        """Try the new credentials and store them; return a sentence for the page, or "" and put the error into the form."""
        _, credentials = form_values(self.declared, self.cleaned_data, prefix=_PREFIX, outer=self.integration.config)
        try:
            if not credentials:
                raise InvalidInput("Enter at least one new value.")
            rotation = services.rotate_credentials(
                self.integration, credentials, self.cleaned_data["overlap_hours"], force=self.cleaned_data["force"]
            )
        except RepoGuardError as error:
            self._show(error)
            for name in (_PREFIX + name for name, value in credentials.items() if value):
                self.add_error(name, AGAIN)
            return ""
        tested = f"The new credentials work: {rotation.report.message}" if rotation.report else "The new credentials are stored, untested."
        kept = " The old ones can be restored for a while." if rotation.previous_until else " The old ones are forgotten."
        return tested + kept

    def _show(self, error: RepoGuardError) -> None:
        shown = False
        for name, sentences in error.fields.items():
            field = _PREFIX + name.removeprefix("credentials.")
            field = name if name in self.fields else field
            if field in self.fields:
                shown = True
                self.add_error(field, [beside_field(sentence) for sentence in sentences])
        if not shown:
            self.add_error(None, error.message.replace("send force to store them untested", "switch on “Store them untested”"))


def _secret_fields(integration: Integration) -> list[Field]:
    try:
        declared = find(integration.type).fields
    except InvalidInput:
        return []
    return [field for field in declared if field.secret and field.applies(integration.config)]
