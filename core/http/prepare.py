"""Making a call's request: what a caller passes is checked and put together, so that nothing breaks out of its place."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from core.errors import InvalidInput
from core.http.door import Outgoing
from core.http.guard import check_url

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
Params = Mapping[str, str] | Sequence[tuple[str, str]]

# Framing and hop-by-hop headers are the door's own, whatever the caller asks for
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization", "proxy-connection"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ANY_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


def outgoing(method: str, url: str, params: Params, headers: Mapping[str, str] | None, json: Any, body: bytes | None) -> Outgoing:
    """Return the request that a caller describes, without credentials. Raises InvalidInput (method, url, params, headers, json).

    Raises AddressRefused for an inner address.
    """
    method = method.upper()
    if method not in METHODS:
        raise InvalidInput.of("method", f"must be one of {', '.join(sorted(METHODS))}.")
    check_path(url)
    request = Outgoing(method=method, url=url, headers=dict(headers or {}), params=_pairs(params), body=body)
    if json is not None:
        if body is not None:
            raise InvalidInput.of("json", "can't be sent together with a body.")
        try:
            request.body = jsonlib.dumps(json, separators=(",", ":"), allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise InvalidInput.of("json", "holds something that JSON can't express.") from None
        if not any(name.lower() == "content-type" for name in request.headers):
            request.headers["Content-Type"] = "application/json"
    check(request)
    return request


def check(request: Outgoing) -> None:
    """Check what can break out of its place: after the caller, and again after the credentials were added."""
    request.headers = sendable(request.headers)
    target_url(request.url, request.params)


def check_path(url: str) -> None:
    """Refuse a path that climbs (`..`, also percent-encoded): servers and libraries read it differently. Raises InvalidInput."""
    try:
        path = urlsplit(url).path if "://" in url else url
    except ValueError:
        raise InvalidInput.of("url", "not a valid URL; write it like https://example.com/path.") from None
    if any(segment in {".", ".."} for form in (path, unquote(path), unquote(unquote(path))) for segment in re.split(r"[/\\]", form)):
        raise InvalidInput.of("url", "must not contain the path segments . or ..; write the path that is meant.")


def target_url(url: str, params: Sequence[tuple[str, str]]) -> str:
    """Return the URL with the parameters added to its query. Raises InvalidInput (url, params) and AddressRefused."""
    for name, value in params:
        if _ANY_CONTROL.search(name) or _ANY_CONTROL.search(value):
            raise InvalidInput.of("params", "a name or value contains a line break or another control character.")
    try:
        query = urlencode(list(params))
    except UnicodeEncodeError:
        raise InvalidInput.of("params", "a name or value contains a character that can't be sent.") from None
    joined = f"{url}{'&' if '?' in url else '?'}{query}" if query else url
    return check_url(joined).url


def sendable(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are sent, one of each name. Raises InvalidInput for one that would break out of its line."""
    kept: dict[str, tuple[str, str]] = {}
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise InvalidInput.of("headers", f"{name[:60]!r} is not a header name.")
        if _CONTROL.search(value):
            raise InvalidInput.of("headers", f"{name} contains a line break or another control character.")
        try:
            value.encode("latin-1")
        except UnicodeEncodeError:
            raise InvalidInput.of("headers", f"{name} contains a character that headers can't carry; encode it first.") from None
        if name.lower() not in _OWN_HEADERS:
            kept[name.lower()] = (name, value.strip(" \t"))
    return dict(kept.values())


def _pairs(params: Params) -> list[tuple[str, str]]:
    items = params.items() if isinstance(params, Mapping) else params
    return [(str(name), str(value)) for name, value in items]
