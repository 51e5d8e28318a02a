"""Form fields from declared fields, for the admin. A stored secret is never rendered: its field is empty, and says that it is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from core.errors import InvalidInput
from integrations.contract.fields import Field, FieldKind
from integrations.contract.kinds import MISSING, checked_value
from integrations.contract.secret_widgets import REMOVED, RemovableSecret, SecretLines

KEPT = "Stored encrypted; kept as it is unless you enter a new one."
NEW = "Stored encrypted, never shown again."
AGAIN = "Enter it again: a secret is not sent back with the form."
_ENTRY = re.compile(r"entry (\d+): ")
_LINES = {FieldKind.WORDS: "One per line.", FieldKind.MAPPING: "One per line, Name: value."}


def form_fields(
    fields: Sequence[Field], stored: Mapping[str, Any], *, secrets: Collection[str] = (), prefix: str = "", removable: bool = False
) -> dict[str, forms.Field]:
    """Return the form fields of declared fields, by `prefix` and name.

    `stored` holds the present values of the open ones (their defaults stand in for what is missing), `secrets` the names of
    the secret ones that are stored. Nothing is required by the form: what applies depends on other fields, so that the
    service's answer says what is missing. Widgets carry `data-only-if` and `data-only-if-values` for conditions. With `removable`,
    stored secrets that need not be there have a box that removes them.
    """
    made = {prefix + field.name: _form_field(field, stored, field.name in secrets, prefix) for field in fields}
    for field in fields:
        if removable and field.secret and not field.required and field.name in secrets:
            made[prefix + field.name].widget = RemovableSecret(made[prefix + field.name].widget)
    return made


def form_values(
    fields: Sequence[Field], cleaned: Mapping[str, Any], *, prefix: str = "", outer: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (open values, secret values) of a form's cleaned data: without empty ones, and without those that do not apply.

    A secret that is to be removed is "", as by REST.
    `outer` holds values of other fields that conditions may name (the integration's config, for a destination's fields).
    """
    values: dict[str, Any] = {}
    for field in fields:
        value = cleaned.get(prefix + field.name)
        is_given = value not in (None, "", [], {}) or (value == [] and _overrides(field))
        if is_given and field.applies({**(outer or {}), **_defaults(fields), **values}):
            values[field.name] = "" if value is REMOVED else value
    secret = {field.name for field in fields if field.secret}
    return (
        {name: value for name, value in values.items() if name not in secret},
        {name: value for name, value in values.items() if name in secret},
    )


def counted_from_one(sentence: str) -> str:
    """Return a service's sentence with the entry of a list that it names counted as people count lines; programs count from 0."""
    entry = _ENTRY.match(sentence)
    return f"entry {int(entry[1]) + 1}: {sentence[entry.end() :]}" if entry else sentence


def beside_field(sentence: str) -> str:
    """Return a service's sentence as it stands beside its field: that is shown where its condition holds, so it need not be named."""
    sentence = counted_from_one(sentence)
    if sentence.startswith("is required if "):
        return "Is required."
    return sentence if sentence.startswith("http") else sentence[:1].upper() + sentence[1:]


def _overrides(field: Field) -> bool:
    """Say whether nothing is a value: of a row of boxes with some checked by default none may be checked."""
    return field.kind == FieldKind.WORDS and bool(field.choices) and field.default is not None


def _defaults(fields: Sequence[Field]) -> dict[str, Any]:
    return {field.name: field.default for field in fields if field.default is not None}


class _DeclaredField(forms.Field):
    """Any kind: the text of the form becomes the value, and the declared rules are checked beside the field."""

    def __init__(self, declared: Field, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.declared = declared

    def prepare_value(self, value: Any) -> Any:
        """Return a value as the widget shows it."""
        return _shown(self.declared, value) if isinstance(value, list | tuple | dict) and not self.declared.choices else value

    def to_python(self, value: Any) -> Any:
        """Return the declared kind's value, None for nothing."""
        if value is REMOVED:
            return value
        read = _READ.get(FieldKind(self.declared.kind))
        if value in (None, "", []):
            return [] if _overrides(self.declared) else None
        value = read(value) if read and not self.declared.choices else value
        try:
            clean = checked_value(self.declared, value, "field")
        except InvalidInput as error:
            raise forms.ValidationError([beside_field(text) for text in error.fields["field"]]) from None
        return None if clean is MISSING else clean

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare what was shown with what was sent; an empty secret is no change."""
        if self.declared.secret:
            return data not in (None, "", [])
        return bool(super().has_changed(list(initial) if isinstance(initial, tuple) else initial, data))


def _form_field(field: Field, stored: Mapping[str, Any], has_secret: bool, prefix: str) -> forms.Field:
    initial = None if field.secret else stored.get(field.name, field.default)
    label = field.title
    if field.kind == FieldKind.BOOLEAN:
        return forms.BooleanField(
            required=False, label=label, initial=initial, help_text=_help(field, False), widget=_widget(field, False, prefix)
        )
    return _DeclaredField(
        field, label=label, initial=initial, help_text=_help(field, has_secret), widget=_widget(field, has_secret, prefix)
    )


def _help(field: Field, has_secret: bool) -> SafeString:
    parts = [
        field.help,
        _LINES.get(FieldKind(field.kind), "") if not field.choices else "",
        (KEPT if has_secret else NEW) if field.secret else "",
    ]
    if field.required and not has_secret and field.default is None:
        parts.insert(0, "Required.")
    text = " ".join(part for part in parts if part)
    if not field.link:
        return format_html("{}", text)
    return format_html('{} <a class="rg-link" href="{}" target="_blank" rel="noopener noreferrer">Where to find it</a>', text, field.link)


def _widget(field: Field, has_secret: bool, prefix: str) -> Any:
    attrs: dict[str, Any] = (
        {"placeholder": "•••••••• (stored)" if has_secret else field.placeholder} if has_secret or field.placeholder else {}
    )
    if field.only_if:
        attrs |= {"data-only-if": prefix + field.only_if[0], "data-only-if-values": " ".join(field.only_if[1])}
    if field.choices:
        return _choice_widget(field, attrs)
    if field.kind == FieldKind.BOOLEAN:
        return UnfoldBooleanSwitchWidget(attrs=attrs)
    if field.kind in _LINES or field.kind == FieldKind.MULTILINE:
        return (
            SecretLines(attrs | {"rows": 4, "spellcheck": "false", "autocomplete": "off"})
            if field.secret
            else UnfoldAdminTextareaWidget(attrs | {"rows": _rows(field), "spellcheck": "false"})
        )
    if field.secret:
        return UnfoldAdminPasswordWidget(attrs=attrs | {"autocomplete": "new-password"})
    if field.kind == FieldKind.INTEGER:
        return UnfoldAdminIntegerFieldWidget(attrs=attrs)
    if field.kind == FieldKind.NUMBER:
        return UnfoldAdminDecimalFieldWidget(attrs=attrs | {"step": "any"})
    return UnfoldAdminTextInputWidget(attrs=attrs | ({"inputmode": "url"} if field.kind == FieldKind.URL else {}))


def _rows(field: Field) -> int:
    """Return how many rows show a list's default whole, 8 at most."""
    lines = len(field.default) if field.kind in _LINES and isinstance(field.default, list | tuple) else 0
    return min(8, max(3, lines))


def _choice_widget(field: Field, attrs: dict[str, Any]) -> Any:
    if field.kind == FieldKind.WORDS:
        widget = UnfoldAdminCheckboxSelectMultipleWidget(choices=field.choices)
        widget.attrs |= attrs  # it takes none
        return widget
    empty = () if field.required or field.default is not None else (("", "—"),)
    return UnfoldAdminSelectWidget(attrs=attrs, choices=(*empty, *field.choices))


def _shown(field: Field, value: Any) -> str:
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {text}" for name, text in value.items())
    return "\n".join(str(word) for word in value)


def _lines(value: object) -> list[str]:
    return [line.strip() for line in str(value).splitlines() if line.strip()]


def _pairs(value: object) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in _lines(value):
        name, colon, text = line.partition(":")
        if not colon or not name.strip():
            raise forms.ValidationError(f"Line {len(pairs) + 1} is not of the form Name: value.")
        if name.strip() in pairs:
            raise forms.ValidationError(f"{name.strip()[:100]} is given twice.")
        pairs[name.strip()] = text.strip()
    return pairs


def _whole(value: object) -> int:
    try:
        return int(str(value).strip())
    except ValueError:
        raise forms.ValidationError("Must be a whole number.") from None


def _decimal(value: object) -> float:
    try:
        return float(str(value).strip())
    except ValueError:
        raise forms.ValidationError("Must be a number.") from None


_READ: dict[FieldKind, Callable[[object], Any]] = {
    FieldKind.WORDS: _lines,
    FieldKind.MAPPING: _pairs,
    FieldKind.INTEGER: _whole,
    FieldKind.NUMBER: _decimal,
}
