"""Where a template writes to. What stands in the template is written as it is, a value so that it stays a value.

In JSON it depends on the place: inside quotes a value is escaped as a part of that text, elsewhere it is written as JSON. So no
title, however it is quoted, ends a text early or adds a field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import StrEnum
from html import escape
from io import StringIO
from typing import Any
from urllib.parse import quote, quote_plus

from templates_app.rendering.meter import MAX_OUTPUT, Exceeded, Meter
from templates_app.rendering.texts import as_json, as_text

_QUOTE_OR_BACKSLASH = re.compile(r'["\\]')
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_HEADER = re.compile(r"[^\x20-\x7e\xa0-\xff]")


class Style(StrEnum):
    """How values are written."""

    JSON = "json"
    TEXT = "text"
    XML = "xml"
    FORM = "form"
    HEADER = "header"
    PATH = "path"


class Writer(StringIO):
    """Collects what is written, up to a bound."""

    def __init__(self, meter: Meter, limit: int = MAX_OUTPUT, encode: Callable[[str], str] = str) -> None:
        super().__init__(newline="")
        self.meter, self._left, self._limit, self._encode = meter, limit, limit, encode

    def write(self, text: str, /) -> int:
        """Write what stands in the template."""
        self._left -= len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if self._left < 0:
            raise Exceeded(f"It makes more than {self._limit:,} bytes.")
        self.meter.step(1 + len(text) // 4096)
        return super().write(text)

    def put(self, value: Any) -> int:
        """Write a value."""
        return self.write(self._encode(as_text(value, self.meter)))


class JsonWriter(Writer):
    """Follows whether it is inside a JSON text."""

    _inside = _after_backslash = False

    def write(self, text: str, /) -> int:
        """Write what stands in the template, and follow its quotes."""
        at = 1 if self._after_backslash and text else 0
        self._after_backslash = self._after_backslash and not text
        while found := _QUOTE_OR_BACKSLASH.search(text, at):
            at = found.end()
            if found[0] == '"':
                self._inside = not self._inside
            elif self._inside:
                at += 1
                self._after_backslash = at > len(text)
        return super().write(text)

    def put(self, value: Any) -> int:
        """Write a value as a part of the text around it, or as JSON."""
        if self._after_backslash:
            raise Exceeded("A value can't stand right behind a backslash.")
        if self._inside:
            return super().write(json.dumps(as_text(value, self.meter), ensure_ascii=False)[1:-1])
        return super().write(as_json(value, self.meter))


def writer(style: Style, meter: Meter, limit: int = MAX_OUTPUT) -> Writer:
    """Return where a part of this style is written to."""
    return JsonWriter(meter, limit) if style is Style.JSON else Writer(meter, limit, _ENCODERS[style])


def _as_xml(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text))


def _as_form(text: str) -> str:
    return quote_plus(text, errors="replace")


def _as_segment(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _as_header(text: str) -> str:
    return _NOT_HEADER.sub("?", " ".join(text.split()))


_ENCODERS: dict[Style, Callable[[str], str]] = {
    Style.TEXT: str, Style.XML: _as_xml, Style.FORM: _as_form, Style.HEADER: _as_header, Style.PATH: _as_segment,
}  # fmt: skip
