"""The form of an inbound source, checked by its service."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from access.admin_base.base import ServiceForm
from access.admin_base.owners import OwnerField
from access.admin_base.show import pretty
from core.errors import NotFound
from integrations.contract.fields import Field
from webhooks.inbound.selectors import find_receiver, receivers
from webhooks.models import InboundSource

_PLAIN = ("name", "active", "is_default", "validate_schema", "silence_seconds")


class InboundSourceForm(ServiceForm):
    """Who sends, how they prove who they are, and when their silence is an alarm."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Who sends, such as “GitHub of acme”.")
    provider = forms.ChoiceField(widget=UnfoldAdminSelectWidget, help_text="Whose webhooks they are: it decides how they are verified.")
    secret = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "type": "password"}),
        help_text="Left empty, one is generated and shown once. Some platforms make it themselves: then enter theirs.",
    )
    config = forms.CharField(required=False, label="Options", widget=UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"}))
    allowed_cidrs = forms.CharField(
        required=False,
        label="Allowed networks",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "192.30.252.0/22"}),
        help_text="One a line; empty lets any address send.",
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
        if "provider" in self.fields:
            self.fields["provider"].choices = [(receiver.key, receiver.title) for receiver in receivers()]  # type: ignore[attr-defined]
        if "config" in self.fields:
            self.fields["config"].help_text = _options_help(source.provider)
        if not source._state.adding:
            shown = {"config": pretty(source.config), "allowed_cidrs": "\n".join(source.allowed_cidrs), "owner": owner or ""}
            self.initial = {**{name: getattr(source, name) for name in _PLAIN}, **shown, **self.initial}

    def clean_config(self) -> Any:
        """Return the options as an object."""
        text = self.cleaned_data["config"].strip()
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise forms.ValidationError('Write a JSON object, such as {"header": "X-Signature"}; leave it empty for none.')
        return value

    def clean_allowed_cidrs(self) -> list[str]:
        """Return the networks as a list."""
        return str(self.cleaned_data["allowed_cidrs"]).replace(",", " ").split()

    def clean_owner(self) -> Any:
        """Return the owner's id."""
        if "owner" not in self.changed_data and not self.instance._state.adding:
            return self.instance.owner_id
        field = self.fields["owner"]
        return field.resolve(self.cleaned_data["owner"], self.who) if isinstance(field, OwnerField) else None

    def clean(self) -> dict[str, Any] | None:
        """Show what the service says of single options beside the options."""
        if self.refusal is not None:
            options = [sentence for name, found in self.refusal.fields.items() if name.startswith("config.") for sentence in found]
            names = [name.removeprefix("config.") for name in self.refusal.fields if name.startswith("config.")]
            for name, sentence in zip(names, options, strict=False):
                self.add_error("config", f"{name} {sentence}")
        return super().clean()

    def values(self) -> tuple[dict[str, Any], str | None]:
        """Return what the service takes, and the secret if one was entered."""
        values = dict(self.cleaned_data)
        if "owner" in values:
            values["owner_id"] = values.pop("owner")
        return values, values.pop("secret", None) or None


def _options_help(provider: str) -> str:
    """Return which options there are, in words."""
    if not provider:
        known = [
            f"{receiver.title}: {', '.join(map(_named, receiver.source_fields))}." for receiver in receivers() if receiver.source_fields
        ]
        return " ".join(["As JSON, where the provider needs any.", *known])
    try:
        fields = find_receiver(provider).source_fields
    except NotFound:
        return ""
    return f"As JSON: {'; '.join(map(_named, fields))}." if fields else "This provider has none."


def _named(field: Field) -> str:
    return f"{field.name} ({field.title}{', required' if field.required else ''})"
