"""Forms of templates: the template itself as JSON, and what it asks for as a form of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from access.admin_base.base import ServiceForm
from access.admin_base.owners import OwnerField
from access.admin_base.show import pretty
from access.principals import Principal
from integrations import registry
from integrations.contract.fields import Field
from integrations.contract.schema import form_fields, form_values
from templates_app.asked import as_fields
from templates_app.models import IntegrationTemplate
from templates_app.placeholders import whole
from templates_app.services import TemplateValues

PREFIX = "v_"
_PLAIN = ("name", "type", "description", "is_public")
_JSON = ("config", "endpoints", "webhooks")
_START: dict[str, Any] = {
    "schema": {
        "type": "object",
        "properties": {
            "base_url": {"type": "string", "format": "uri", "title": "Address"},
            "token": {"type": "string", "title": "Token", "writeOnly": True},
        },
    },
    "defaults": {},
    "required": ["base_url", "token"],
    "integration": {"config": {"base_url": "{{ base_url }}", "auth": "bearer"}, "credentials": {"token": "{{ token }}"}},
}


def _json(rows: int) -> UnfoldAdminTextareaWidget:
    style = "font-family:monospace;font-size:13px;white-space:pre;overflow-x:auto"
    return UnfoldAdminTextareaWidget(attrs={"rows": rows, "spellcheck": "false", "style": style, "data-numbered": ""})


class TemplateForm(ServiceForm):
    """A template; how it is written stands in docs/templates.md."""

    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget, help_text="What is set up with it, such as “Ticket system”.")
    type = forms.ChoiceField(label="Connector", widget=UnfoldAdminSelectWidget)
    description = forms.CharField(
        required=False, max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), help_text="Shown in the gallery."
    )
    is_public = forms.BooleanField(
        required=False,
        label="Public",
        widget=UnfoldBooleanSwitchWidget,
        help_text="Everybody may use it; otherwise only its owner.",
    )
    owner = OwnerField(help_text="Who may change it.")
    config = forms.CharField(
        label="Values and integration",
        widget=_json(22),
        help_text="“schema” says which values are asked for, “integration” what is made of them. {{ name }} in a text stands for a value; "
        "values marked writeOnly are secrets and go into “credentials” only.",
    )
    endpoints = forms.CharField(required=False, widget=_json(6), help_text="A JSON list of named endpoints; empty for none.")
    webhooks = forms.CharField(
        required=False,
        widget=_json(6),
        help_text="A JSON list of webhooks; without a URL they send through the integration. Empty for none.",
    )

    class Media:
        js = ("repoguard/lines.js",)

    class Meta:
        model = IntegrationTemplate
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        template = None if self.instance._state.adding else self.instance
        owner = str(template.owner) if template is not None and template.owner_id else None
        if isinstance(field := self.fields.get("owner"), OwnerField):
            field.offer(self.who, owner)
            field.disabled = template is not None
        if "type" in self.fields:
            choices = [(connector.key, connector.title) for connector in registry.for_integrations()]
            self.fields["type"].choices = choices  # type: ignore[attr-defined]
        present: dict[str, Any] = {"config": pretty(_START)}
        if template is not None:
            present = {name: getattr(template, name) for name in _PLAIN} | {"owner": owner or ""}
            present |= {name: pretty(getattr(template, name)) if getattr(template, name) else "" for name in _JSON}
        self.initial = {**present, **self.initial}

    def clean_owner(self) -> Any:
        """Return the owner's id."""
        if not self.instance._state.adding:
            return self.instance.owner_id
        field = self.fields["owner"]
        return field.resolve(self.cleaned_data["owner"], self.who) if isinstance(field, OwnerField) else None

    def clean_config(self) -> Any:
        """Return the parsed JSON."""
        return _parsed(self.cleaned_data["config"], {})

    def clean_endpoints(self) -> Any:
        """Return the parsed JSON."""
        return _parsed(self.cleaned_data["endpoints"], [])

    def clean_webhooks(self) -> Any:
        """Return the parsed JSON."""
        return _parsed(self.cleaned_data["webhooks"], [])

    def clean(self) -> dict[str, Any] | None:
        """Put what the service says of a place within the JSON beside the field that holds it."""
        refusal = self.refusal
        if refusal is not None:
            for path, sentences in refusal.fields.items():
                root = path.partition(".")[0]
                if path not in self.fields and root in _JSON:
                    for sentence in sentences:
                        self.add_error(root, f"{path}: {sentence}")
            if any(path.partition(".")[0] in _JSON and path not in self.fields for path in refusal.fields):
                return self.cleaned_data
        return super().clean()

    def values(self) -> TemplateValues:
        """Return what the service takes."""
        names = (*_PLAIN, *_JSON)
        return cast("TemplateValues", {name: self.cleaned_data[name] for name in names} | {"owner_id": self.cleaned_data["owner"]})


class UseForm(forms.Form):
    """What a template asks for."""

    name = forms.CharField(
        max_length=100, label="Name *", widget=UnfoldAdminTextInputWidget, help_text="How the new integration is called."
    )
    owner = OwnerField(help_text="Who sees and changes what is made: a user, a team, or the admins.")

    def __init__(self, template: IntegrationTemplate, who: Principal, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.asked, self.who = _with_words(template), who
        self.fields["name"].initial = template.name
        owner = self.fields["owner"]
        if isinstance(owner, OwnerField):
            owner.offer(who, None)
        self.fields |= form_fields(self.asked, {}, prefix=PREFIX)
        for field in self.asked:
            label = self.fields[PREFIX + field.name].label or field.name
            self.fields[PREFIX + field.name].label = f"{label} *" if field.required else label

    def clean_owner(self) -> Any:
        """Return the owner's id."""
        field = self.fields["owner"]
        return field.resolve(self.cleaned_data["owner"], self.who) if isinstance(field, OwnerField) else None

    def values(self) -> dict[str, Any]:
        """Return the values as the service takes them; those left empty take the template's defaults."""
        shown, secret = form_values(self.asked, self.cleaned_data, prefix=PREFIX)
        return shown | secret

    def titles(self) -> dict[str, str]:
        """Return what the values are called in the form, by the name that errors give them."""
        return {f"values.{field.name}": field.title for field in self.asked} | {"name": "Name"}


def _with_words(template: IntegrationTemplate) -> tuple[Field, ...]:
    """Return what a template asks for, with the connector's own words for the choices that it passes on."""
    words = {field.name: dict(field.choices) for field in registry.find(template.type).fields if field.choices}
    placed = template.config.get("integration", {}).get("config", {})
    meant = {name: words[place] for place, text in placed.items() if place in words and isinstance(text, str) and (name := whole(text))}
    return tuple(
        replace(field, choices=tuple((value, meant[field.name].get(value, label)) for value, label in field.choices))
        if field.name in meant
        else field
        for field in as_fields(template.config)
    )


def _parsed(text: str, empty: Any) -> Any:
    if not text.strip():
        return empty
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise forms.ValidationError(f"Not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except (ValueError, RecursionError) as error:
        raise forms.ValidationError("Nested too deeply, or holds a number that is too long.") from error
