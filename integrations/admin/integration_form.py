"""The form of an integration: what every integration has, and the fields that its connector declares."""

from __future__ import annotations

import json
from typing import Any, ClassVar, cast

from django import forms
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from access.admin_base.base import ServiceForm
from access.admin_base.owners import OwnerField
from access.admin_base.show import duration, pretty
from core.errors import RepoGuardError
from integrations.choices import Category, Criticality, Environment
from integrations.contract.connector import Connector
from integrations.contract.schema import AGAIN, beside_field, form_fields, form_values
from integrations.models import Integration
from integrations.selectors.integrations import credentials_set
from integrations.services.drafts import changed_draft, new_draft
from integrations.services.values import IntegrationValues

PREFIX = "c_"
WINDOWS = {60: "a minute", 3600: "an hour", 86_400: "a day", 604_800: "a week", 2_592_000: "30 days"}
PLAIN = (
    "name", "environment", "category", "criticality", "purpose", "exchanged_data", "credentials_expire_at", "metadata", "sla_availability",
    "sla_response_ms", "quota_limit", "quota_window_seconds", "rate_per_minute", "timeout_seconds", "breaker_failures",
    "breaker_hold_seconds", "stale_seconds",
)  # fmt: skip


def _lines(rows: int, **attrs: Any) -> UnfoldAdminTextareaWidget:
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, **attrs})


def _whole(help_text: str, *, initial: int | None = None, label: str = "") -> forms.IntegerField:
    required = initial is not None
    return forms.IntegerField(
        required=required, initial=initial, label=label or None, widget=UnfoldAdminIntegerFieldWidget, help_text=help_text
    )


class IntegrationForm(ServiceForm):
    """A connection to another system."""

    connector: ClassVar[type[Connector]]

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="As people call it, such as “Jira production”.")
    owner = OwnerField(help_text="Who sees and changes it: a user, a team, or the admins.")
    environment = forms.ChoiceField(
        choices=Environment.choices, widget=UnfoldAdminSelectWidget, help_text="Which system of the other side it is."
    )
    category = forms.ChoiceField(choices=Category.choices, widget=UnfoldAdminSelectWidget, help_text="What it is for, in lists.")
    criticality = forms.ChoiceField(
        choices=Criticality.choices,
        initial=Criticality.IMPORTANT.value,
        widget=UnfoldAdminSelectWidget,
        help_text="How much depends on it; decides how often it is checked.",
    )
    purpose = forms.CharField(required=False, widget=_lines(2), help_text="Why it exists, for whoever finds it in two years.")
    exchanged_data = forms.CharField(required=False, widget=_lines(2), help_text="Which data goes out and comes in, for audits.")
    credentials_expire_at = forms.SplitDateTimeField(
        required=False,
        label="Credentials end (UTC)",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="Announced beforehand as an event. Filled in by itself where the service tells.",
    )
    metadata = forms.CharField(
        required=False,
        label="Notes",
        widget=_lines(3, placeholder='{"ticket": "OPS-118"}', spellcheck="false"),
        help_text="A JSON object of your own, such as a ticket or a contact; never a secret.",
    )
    sla_availability = forms.FloatField(
        required=False,
        label="Availability target (%)",
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
        help_text="Share of checks that must succeed, such as 99.5. Empty: no target.",
    )
    sla_response_ms = _whole("95 of 100 checks must be faster. Empty: no target.", label="Response target (ms)")
    quota_limit = _whole("Calls in a window, counted over all processes. Empty: no limit.", label="Quota")
    quota_window_seconds = forms.TypedChoiceField(coerce=int, label="Quota window", widget=UnfoldAdminSelectWidget, initial=3600)
    rate_per_minute = _whole("Calls a minute at most. Empty: no limit.")
    timeout_seconds = _whole("A call that takes longer has failed.", initial=30, label="Timeout (s)")
    breaker_failures = _whole("Failures in a row after which calls are refused for a while.", initial=5, label="Breaker opens after")
    breaker_hold_seconds = _whole("First hold of the open breaker; it doubles each time, up to an hour.", initial=30, label="Hold (s)")
    stale_seconds = _whole(
        "How old an answer may be that stands in while the service can't be asked; it is marked as such. 0: never.",
        initial=0,
        label="Stand-in answers up to (s)",
    )

    class Meta:
        model = Integration
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = None if self.instance._state.adding else self.instance
        secrets = [name for name, present in ((credentials_set(stored) or {}) if stored else {}).items() if present]
        made = form_fields(self.connector.fields, stored.config if stored else {}, secrets=secrets, prefix=PREFIX, removable=True)
        self.fields.update({name: field for name, field in made.items() if name in self.shown_fields})
        owner = str(stored.owner) if stored and stored.owner_id else None
        if isinstance(field := self.fields.get("owner"), OwnerField):
            field.offer(self.who, owner)
            if stored is not None:
                field.disabled, field.help_text = True, "It stays; create an integration for the other owner."
        self._offer(stored.quota_window_seconds if stored else 3600)
        if stored is not None:
            present = {name: getattr(stored, name) for name in PLAIN}
            self.initial = {**present, "metadata": pretty(stored.metadata) if stored.metadata else "", "owner": owner or "", **self.initial}
        elif self.connector.categories:
            self.initial = {"category": self.connector.categories[0].value, **self.initial}

    def _offer(self, window: int) -> None:
        if isinstance(field := self.fields.get("quota_window_seconds"), forms.TypedChoiceField):
            field.choices = sorted((WINDOWS | {window: WINDOWS.get(window, duration(window))}).items())

    def clean_owner(self) -> Any:
        """Return the owner's id."""
        if not self.instance._state.adding:
            return self.instance.owner_id
        field = self.fields["owner"]
        return field.resolve(self.cleaned_data["owner"], self.who) if isinstance(field, OwnerField) else None

    def clean_metadata(self) -> Any:
        """Return the notes."""
        text = self.cleaned_data["metadata"].strip()
        try:
            return json.loads(text) if text else {}
        except (ValueError, RecursionError):
            raise forms.ValidationError('Not JSON. Write an object such as {"ticket": "OPS-118"}, or nothing.') from None

    def clean(self) -> dict[str, Any] | None:
        """Ask the service's rules about everything that could be read, so that all errors are shown at once."""
        refusal, self.refusal = self.refusal, None  # type: ignore[misc]  # its fields are called otherwise here
        cleaned = super().clean()
        try:
            if refusal is not None:
                raise refusal
            if self.instance._state.adding:
                new_draft(self.values())
            else:
                changed_draft(self.instance, self.values(), replace=True)
        except RepoGuardError as error:
            self.show_refusal(error)
        if self.errors:
            self._ask_again()
        return cleaned

    def _ask_again(self) -> None:
        """Say that secrets are gone: they are never sent back, and a form that returns for something else looks as if it had them."""
        _, secrets = form_values(self.connector.fields, self.cleaned_data, prefix=PREFIX)
        for name in (name for name, value in secrets.items() if value):
            self.add_error(PREFIX + name, AGAIN)

    def show_refusal(self, error: RepoGuardError) -> None:
        """Put what the service refuses beside the fields it names."""
        shown = False
        for name, sentences in error.fields.items():
            place, _, rest = name.partition(".")
            field = PREFIX + rest if place in ("config", "credentials") and rest else name
            if field in self.errors:  # the form's own rules have said so already
                shown = True
            elif field in self.fields:
                shown = True
                for sentence in sentences:
                    self.add_error(field, beside_field(sentence))
        if not shown:
            self.add_error(None, error.message)

    def values(self) -> IntegrationValues:
        """Return what the service takes, without what could not be read."""
        values: dict[str, Any] = {name: self.cleaned_data[name] for name in PLAIN if name in self.cleaned_data}
        config, credentials = form_values(self.connector.fields, self.cleaned_data, prefix=PREFIX)
        values |= {"type": self.connector.key, "config": config, "credentials": credentials}
        if "owner" in self.cleaned_data:
            values["owner_id"] = self.cleaned_data["owner"]
        return cast("IntegrationValues", values)
