"""The form of an endpoint: everything in words, checked by the service."""

from __future__ import annotations

import json
from typing import Any, cast

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from access.admin_base.base import ServiceForm
from access.admin_base.show import pretty
from access.scopes import SCOPES
from access.selectors import visible
from core.errors import InvalidInput
from integrations.contract.gateway import GatewayTarget
from integrations.gateway import endpoints as services
from integrations.gateway.endpoints import EndpointValues
from integrations.models import Endpoint, Integration
from integrations.models.endpoint import Method
from integrations.registry import with_capability

OFFERED = 500
_JSON = ("parameters", "body_schema", "fixed_query")
_PLAIN = ("name", "description", "method", "path", "cache_seconds", "scope", "enabled")
_EXAMPLE = '{"type": "object",\n "properties": {"id": {"type": "string"}, "state": {"enum": ["open", "closed"]}},\n "required": ["id"]}'


def _schema_field(label: str, rows: int, help_text: str, placeholder: str = "") -> forms.CharField:
    widget = UnfoldAdminTextareaWidget(attrs={"rows": rows, "spellcheck": "false", "placeholder": placeholder})
    return forms.CharField(required=False, label=label, widget=widget, help_text=help_text)


class EndpointForm(ServiceForm):
    """What may be called, and what callers may say."""

    integration = forms.ModelChoiceField(
        Integration.objects.none(), widget=UnfoldAdminSelectWidget, help_text="Whose address, credentials and limits the call has."
    )
    name = forms.CharField(
        max_length=services.MAX_NAME,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "search-issues"}),
        help_text="Part of its URL: lower case letters, digits and hyphens.",
    )
    description = forms.CharField(
        required=False, max_length=services.MAX_DESCRIPTION, widget=UnfoldAdminTextInputWidget, help_text="For those who call it."
    )
    method = forms.ChoiceField(
        choices=Method.choices,
        widget=UnfoldAdminSelectWidget,
        help_text="A GET needs integrations:read of a caller, others integrations:write.",
    )
    path = forms.CharField(
        required=False,
        max_length=1000,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "/projects/{project}/issues"}),
        help_text="Below the integration's address. {name} is a path parameter. Empty: the address itself.",
    )
    parameters = _schema_field(
        "Parameters (JSON Schema)",
        7,
        "An object whose properties are the parameters: those in the path, all others go into the query.",
        _EXAMPLE,
    )
    body_schema = _schema_field("Body (JSON Schema)", 5, "What is sent as JSON; a text to SOAP as it is. Empty: no body is taken.")
    fixed_query = _schema_field("Fixed query", 2, "JSON object of query parameters sent with every call.", '{"per_page": 50}')
    cache_seconds = forms.IntegerField(
        initial=0,
        min_value=0,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How long an answer to the same GET is reused. 0: not at all.",
    )
    scope = forms.ChoiceField(
        required=False, widget=UnfoldAdminSelectWidget, help_text="What a key needs besides integrations:read or :write."
    )
    enabled = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanSwitchWidget, help_text="Switched off, it answers 409.")

    class Meta:
        model = Endpoint
        fields: list[str] = []

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        endpoint = None if self.instance._state.adding else self.instance
        if "scope" in self.fields:
            self.fields["scope"].choices = [("", "none"), *((scope, scope) for scope in sorted(SCOPES))]  # type: ignore[attr-defined]
        if "integration" in self.fields:
            self._offer(endpoint)
        if endpoint is not None:
            texts = {name: pretty(value) if (value := getattr(endpoint, name)) not in (None, {}) else "" for name in _JSON}
            self.initial = {
                **{name: getattr(endpoint, name) for name in _PLAIN},
                **texts,
                "integration": endpoint.integration_id,
                **self.initial,
            }

    def _offer(self, endpoint: Endpoint | None) -> None:
        field: Any = self.fields["integration"]
        types = [connector.key for connector in with_capability(GatewayTarget)]
        rows = visible(Integration.objects.filter(type__in=types).only("id", "name", "environment", "owner_id"), self.who).order_by("name")
        field.queryset = rows if endpoint is None else rows.filter(pk=endpoint.integration_id)
        field.choices = [("", "choose…"), *((row.pk, f"{row.name} ({row.environment})") for row in field.queryset[:OFFERED])]
        if endpoint is not None:
            field.disabled, field.help_text = True, "It stays; make an endpoint of the other integration."

    def clean(self) -> dict[str, Any] | None:
        """Ask the service's rules about everything that could be read, so that all errors are shown at once."""
        cleaned = super().clean()
        if self.refusal is None and not self.errors:
            try:
                services.check({**services.DEFAULTS, **self.values()})
            except InvalidInput as error:
                for name, sentences in error.fields.items():
                    for sentence in sentences:
                        self.add_error(name if name in self.fields else None, sentence[:1].upper() + sentence[1:])
        return cleaned

    def clean_parameters(self) -> dict[str, Any]:
        """Return the schema of the parameters."""
        return self._object("parameters") or {}

    def clean_body_schema(self) -> dict[str, Any] | None:
        """Return the schema of the body, None where none is taken."""
        return self._object("body_schema")

    def clean_fixed_query(self) -> dict[str, Any]:
        """Return the fixed parameters."""
        return self._object("fixed_query") or {}

    def values(self) -> EndpointValues:
        """Return what the service takes."""
        return cast("EndpointValues", {name: self.cleaned_data[name] for name in (*_PLAIN, *_JSON)})

    def _object(self, name: str) -> dict[str, Any] | None:
        text = self.cleaned_data[name].strip()
        if not text:
            return None
        found = parse_json(text)
        if not isinstance(found, dict):
            raise forms.ValidationError("Must be a JSON object: {…}.")
        return found


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; raises ValidationError with the place of the fault."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise forms.ValidationError(f"Not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except (RecursionError, ValueError) as error:
        raise forms.ValidationError("Nested too deeply, or a number that is too long.") from error
