"""Widgets for secrets: none ever shows what is stored, or what was entered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget


class _Removed:
    def __repr__(self) -> str:
        return "REMOVED"


REMOVED: Final = _Removed()
"""What a form has for a stored secret that is to be removed: an empty field keeps it."""
_BOX = "{}-remove"


class SecretLines(UnfoldAdminTextareaWidget):
    """A text area that never shows what was entered, not even when the form comes back with an error elsewhere."""

    def format_value(self, value: Any) -> str:
        """Return nothing."""
        return ""


class RemovableSecret(forms.Widget):
    """The widget of a stored secret, with a box below it that removes the secret; a new value beside a ticked box counts."""

    def __init__(self, inner: forms.Widget) -> None:
        super().__init__(inner.attrs)
        self.inner = inner

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """Return the secret's own widget and the box."""
        inner = self.inner.render(name, None, attrs, renderer)
        ticked = " checked" if value is REMOVED else ""
        box = format_html('<input type="checkbox" name="{}"{}>', _BOX.format(name), ticked)
        return format_html('{}<label class="rg-remove">{} Remove the stored one</label>', inner, box)

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Any:
        """Return what was entered, else whether the stored one is to go."""
        given = self.inner.value_from_datadict(data, files, name)
        return REMOVED if not given and _BOX.format(name) in data else given

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        """Say whether neither was sent."""
        return self.inner.value_omitted_from_data(data, files, name) and _BOX.format(name) not in data

    def id_for_label(self, id_: str) -> str:
        """Return the id of the secret's own field."""
        return self.inner.id_for_label(id_)
