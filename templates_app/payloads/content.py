"""The parts of a payload template together: body, headers, what is added to the address. Reads them, and renders them for an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, quote_plus, unquote, urlsplit, urlunsplit

import orjson

from core.errors import InvalidInput
from core.texts import storable
from integrations.contract.outbound import OutgoingEvent
from templates_app.choices import ContentType
from templates_app.engine import Parsed, parse, render
from templates_app.payloads.variables import values_of
from templates_app.rendering.meter import MAX_OUTPUT, Meter, TemplateRefused
from templates_app.rendering.refused import around
from templates_app.rendering.writers import Style

MAX_URL = 2000
MAX_PART = 2000
_STYLES = {ContentType.JSON: Style.JSON, ContentType.TEXT: Style.TEXT, ContentType.XML: Style.XML, ContentType.FORM: Style.FORM}
_NEAR = 30
_KINDS = ("json", "xml", "form-urlencoded", "text/plain")
_IN_PATHS = "/-._~!$&'()*+,;=:@%"


@dataclass(frozen=True)
class Parts:
    """What people write. `url_path` and `url_query` are added to the webhook's URL."""

    content_type: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
    url_path: str = ""
    url_query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Content:
    """Parts that were read, each under the name of its field; they can be rendered again and again."""

    content_type: str
    parts: Mapping[str, Parsed]

    @property
    def roots(self) -> frozenset[str]:
        """Return which of event, data and message are used."""
        return frozenset().union(*(parsed.roots for parsed in self.parts.values()))


@dataclass(frozen=True)
class Rendered:
    """What is sent of a template: the body, headers beside the webhook's own, and what is added to its URL."""

    content_type: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    path: str = field(default="", repr=False)
    query: str = field(default="", repr=False)

    def address(self, url: str) -> str:
        """Return the URL with what the template adds: its host stays, whatever was rendered. Raises InvalidInput."""
        if not self.path and not self.query:
            return url
        parts = urlsplit(url)
        path = f"{parts.path.rstrip('/')}/{self.path.lstrip('/')}" if self.path else parts.path
        made = urlunsplit(parts._replace(path=path or "/", query="&".join(filter(None, (parts.query, self.query)))))
        if len(made) > MAX_URL:
            raise TemplateRefused(f"The address has {len(made):,} characters with what the template adds; at most {MAX_URL:,} are allowed.")
        return made


def read(parts: Parts) -> Content:
    """Read all parts. Raises one InvalidInput that names each wrong one, with line and column."""
    found: dict[str, Parsed] = {}
    errors: dict[str, list[str]] = {}
    wanted = [
        ("body", parts.body, _STYLES[ContentType(parts.content_type)]),
        ("url_path", parts.url_path, Style.PATH),
        *((f"headers.{name}", text, Style.HEADER) for name, text in parts.headers.items()),
        *((f"url_query.{name}", text, Style.TEXT) for name, text in parts.url_query.items()),
    ]
    for name, text, style in wanted:
        try:
            if text:
                found[name] = parse(text, style)
        except TemplateRefused as error:
            errors[name] = [error.message]
    raise_errors(errors)
    return Content(parts.content_type, found)


def render_event(content: Content, event: OutgoingEvent, *, limit: int = MAX_OUTPUT, meter: Meter | None = None) -> Rendered:
    """Return what a template makes of an event. Raises TemplateRefused for what can't be sent, such as JSON that is none."""
    return render_values(content, values_of(event, content.roots), limit=limit, meter=meter)


def render_values(content: Content, values: Mapping[str, Any], *, limit: int = MAX_OUTPUT, meter: Meter | None = None) -> Rendered:
    """Return what a template makes of the values of an event; see render_event."""
    meter = meter or Meter()
    made: dict[str, str] = {}
    for name, parsed in content.parts.items():
        try:
            made[name] = render(parsed, values, meter=meter, limit=limit if name == "body" else MAX_PART)
            if name == "body" and content.content_type == ContentType.JSON:
                check_json(made[name])
            if name == "url_path":
                made[name] = _path(made[name])
        except TemplateRefused as error:
            raise TemplateRefused(error.message, part=name, output=error.output) from None
    body = made.pop("body", "")
    if content.content_type == ContentType.JSON and "body" not in content.parts:
        raise TemplateRefused("It is empty, which is no JSON.", part="body")
    path = made.pop("url_path", "")
    headers = {name.removeprefix("headers."): " ".join(text.split()) for name, text in made.items() if name.startswith("headers.")}
    query = {name.removeprefix("url_query."): text for name, text in made.items() if name.startswith("url_query.")}
    encoded = "&".join(f"{quote_plus(name)}={quote_plus(text, errors='replace')}" for name, text in query.items())
    return Rendered(content.content_type, body.encode("utf-8", "replace"), headers, path, encoded)


def with_type(headers: Mapping[str, str], content_type: str) -> dict[str, str]:
    """Return the headers with the template's content type, unless the platform's own is of the same kind."""
    own = {name: value for name, value in headers.items() if name.lower() == "content-type"}
    kind = next(kind for kind in _KINDS if kind in content_type)
    if any(kind in value.lower() for value in own.values()):
        return dict(headers)
    return {name: value for name, value in headers.items() if name not in own} | {"Content-Type": content_type}


def check_json(text: str) -> None:
    """Raise TemplateRefused unless a text is JSON, saying where in it the error is."""
    try:
        orjson.loads(text.encode("utf-8", "replace"))
    except orjson.JSONDecodeError as error:
        near = text[max(0, error.pos - _NEAR) : error.pos + _NEAR].replace("\n", " ")
        raise TemplateRefused(
            f"What it makes is no JSON: {error.msg} in line {error.lineno}, column {error.colno} of the output, near {near!r}.",
            output=around(storable(text), error.pos),
        ) from None


def raise_errors(errors: Mapping[str, list[str]]) -> None:
    """Raise one InvalidInput with all of them, if there are any."""
    if errors:
        raise InvalidInput(" ".join(f"{name}: {sentences[0]}" for name, sentences in errors.items()), fields=errors, code="template")


def _path(text: str) -> str:
    """Return a path that goes down only; a value's slashes came encoded, and can't make segments."""
    path = quote("".join(text.split()), safe=_IN_PATHS, errors="replace")
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise TemplateRefused("The path holds . or .., which would lead elsewhere.")
    return path
