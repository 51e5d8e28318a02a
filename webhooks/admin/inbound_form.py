"""The form of an inbound source, checked by its service."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from access.admin_base.owners import OwnedForm, OwnerField
from access.selectors import visible
from core.errors import InvalidInput
from integrations.contract.inbound import Receiver
from integrations.contract.schema import form_fields, form_values
from integrations.models import Integration
from webhooks.models import InboundSource

PREFIX = "c_"
_OFFERED = 500
_PLAIN = ("name", "active", "is_default", "validate_schema", "provider_addresses", "silence_seconds")


class InboundSourceForm(OwnedForm):
    """Who sends, how they prove who they are, and when their silence is an alarm."""

    receiver: ClassVar[type[Receiver] | None] = None

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Who sends, such as “GitHub of acme”.")
    secret = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )
    allowed_cidrs = forms.CharField(
        required=False,
        label="Allowed networks",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "192.30.252.0/22"}),
        help_text="One a line; empty lets any address send.",
    )
    provider_addresses = forms.BooleanField(
        required=False,
        label="Only the platform's addresses",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Besides the allowed networks, only the addresses that the platform publishes may send (GitHub.com; an Enterprise Server"
        " sends from its own).",
    )
    integration = forms.ChoiceField(
        required=False,
        label="Integration for missed deliveries",
        widget=UnfoldAdminSelectWidget,
        help_text="Through it missed deliveries are requested: by the button, every hour, and after a silence. It must be the source's"
        " owner's, of the same platform, and may need further rights there.",
    )
    active = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanSwitchWidget, help_text="Off, everything is refused.")
    is_default = forms.BooleanField(
        required=False,
        label="Default of its provider",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Also receives at the provider's address without an id; one source of a provider.",
    )
    validate_schema = forms.BooleanField(
        required=False,
        label="Check schemas",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Requests whose events don't fit the schema of their type fail, and can be looked at.",
    )
    silence_seconds = forms.IntegerField(
        required=False,
        min_value=0,
        label="Silent after (seconds)",
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Announced after so long without a request; 0 is never. Empty, it is learned from the same hours of past weeks.",
    )
    owner = OwnerField(help_text="Events belong to the owner, unless they are about a repository that is registered here.")

    class Meta:
        model = InboundSource
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        source = self.instance
        owner = str(source.owner) if source.owner_id else None
        field = self.fields.get("owner")
        if isinstance(field, OwnerField):
            field.offer(self.who, owner)
        if self.receiver is not None:
            made = form_fields(self.receiver.source_fields, source.config, prefix=PREFIX)
            self.fields.update({name: field for name, field in made.items() if name in self.shown_fields})
            if "secret" in self.fields:
                self.fields["secret"].help_text = _secret_help(self.receiver, new=source._state.adding)
        if "provider_addresses" in self.fields and "allowed_cidrs" in self.fields:
            self.fields["allowed_cidrs"].help_text = "One a line; empty lets any address send, unless the next switch is on."
        if "integration" in self.fields:
            self.fields["integration"].choices = self._integrations()  # type: ignore[attr-defined]
        if not source._state.adding:
            shown = {"allowed_cidrs": "\n".join(source.allowed_cidrs), "owner": owner or ""}
            shown["integration"] = str(source.integration_id or "")
            self.initial = {**{name: getattr(source, name) for name in _PLAIN}, **shown, **self.initial}

    def _integrations(self) -> list[tuple[str, str]]:
        """Return what can be chosen: the caller's integrations with the platform, of the source's owner once it has one."""
        source, receiver = self.instance, self.receiver
        rows = visible(Integration.objects.filter(type=receiver.key if receiver else ""), self.who)
        if not source._state.adding:
            rows = rows.filter(owner_id=source.owner_id)
        pairs = rows.order_by("name", "id").values_list("id", "name")[:_OFFERED]
        return [("", "none: missed deliveries stay missed"), *((str(id), name) for id, name in pairs)]

    def clean_allowed_cidrs(self) -> list[str]:
        """Return the networks as a list."""
        return str(self.cleaned_data["allowed_cidrs"]).replace(",", " ").split()

    def clean_integration(self) -> uuid.UUID | None:
        """Return the integration's id."""
        value = self.cleaned_data["integration"]
        return uuid.UUID(value) if value else None

    def clean(self) -> dict[str, Any] | None:
        """Show what the service says of an option beside its field."""
        if self.refusal is not None:
            fields = self.refusal.fields.items()
            places = {PREFIX + name.removeprefix("config.") if name.startswith("config.") else name: said for name, said in fields}
            self.refusal = InvalidInput(self.refusal.message, fields=places)  # type: ignore[misc]  # each request has a class of its own
        return super().clean()

    def values(self) -> tuple[dict[str, Any], str | None]:
        """Return what the service takes, and the secret if one was entered."""
        values = {name: value for name, value in self.cleaned_data.items() if not name.startswith(PREFIX)}
        if self.receiver is not None:
            values["config"], _ = form_values(self.receiver.source_fields, self.cleaned_data, prefix=PREFIX)
            if self.instance._state.adding:
                values["provider"] = self.receiver.key
        if "owner" in values:
            values["owner_id"] = values.pop("owner")
        if "integration" in values:
            values["integration_id"] = values.pop("integration")
        return values, values.pop("secret", None) or None


def _secret_help(receiver: type[Receiver], *, new: bool) -> str:
    """Return what to enter, and what happens where nothing is entered."""
    if not new:
        empty = "Stored encrypted, never shown again. Left empty, it stays; the one that a new one replaces is taken for a while longer."
    elif not receiver.needs_secret:
        empty = "It can be left empty."
    elif receiver.secret_is_given:
        empty = f"Required: {receiver.title} makes it."
    else:
        empty = "Left empty, one is generated and shown once; enter it at the platform."
    return f"{receiver.key_help} {empty}".strip()
