"""What a team gets of a service's answer: status, harmless headers, the body as JSON or text, and never the credentials."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn

from core import redact
from core.errors import OutboundError
from core.http.door import BadAnswer, CallFailed, Reply
from core.http.masking import Mask

MAX_SHOWN = 2000
_HEADERS = frozenset(
    {
        "content-language", "content-type", "date", "deprecation", "etag", "expires", "last-modified", "link", "location",
        "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "retry-after", "sunset", "warning", "x-github-request-id",
        "x-next-page", "x-page", "x-per-page", "x-prev-page", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset",
        "x-request-id", "x-total", "x-total-count", "x-total-pages",
    }
)  # fmt: skip
_MOST_HEADER = 2000
_TIMEOUTS = frozenset({"timeout", "connect_timeout"})
_TEXT = re.compile(r"text/|application/(?:[a-z0-9.+-]*\+)?(?:xml|yaml|x-yaml|javascript|x-www-form-urlencoded|graphql)\b", re.ASCII)
_JSON = re.compile(r"application/(?:[a-z0-9.+-]*\+)?json\b|text/json\b", re.ASCII)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class BodyKind(StrEnum):
    """How `body` of an answer is to be read."""

    JSON = "json"
    TEXT = "text"
    BASE64 = "base64"
    EMPTY = "empty"


@dataclass(frozen=True)
class GatewayAnswer:
    """A good answer of a service, for the caller. Times in seconds and milliseconds."""

    status: int
    headers: Mapping[str, str]
    body: Any = field(repr=False)
    body_kind: BodyKind
    cached: bool
    stale: bool
    age_seconds: float
    duration_ms: float
    request_id: str


def read_answer(reply: Reply, mask: Mask, duration_ms: float, request_id: str) -> GatewayAnswer:
    """Return a reply for the caller; a service that repeats the credentials does not give them away."""
    body, kind = _body(reply, mask)
    return GatewayAnswer(
        status=reply.status,
        headers=_headers(reply.headers, mask),
        body=body,
        body_kind=kind,
        cached=reply.cached,
        stale=reply.stale,
        age_seconds=round(reply.age, 1),
        duration_ms=round(duration_ms, 1),
        request_id=request_id,
    )


def raise_for_caller(error: OutboundError, mask: Mask) -> NoReturn:
    """Raise a failed call as the API answers it: 502, 503 or 504, with the service's status and its own words where it has any."""
    if isinstance(error, CallFailed) and error.code in _TIMEOUTS:
        error.status = 504
    if isinstance(error, BadAnswer) and error.status_code is not None:
        error.fields["upstream_status"] = [str(error.status_code)]
        words = mask.text(error.body.decode("utf-8", "replace"), MAX_SHOWN)
        if words.strip():
            error.fields["upstream_body"] = [words]
    raise error


def _headers(headers: Mapping[str, str], mask: Mask) -> dict[str, str]:
    shown = {}
    for name, value in headers.items():
        if name.lower() in _HEADERS:
            text = mask.known(value)
            shown[name.lower()] = (redact.url(text) if name.lower() == "location" else redact.text(text))[:_MOST_HEADER]
    return dict(sorted(shown.items()))


def _body(reply: Reply, mask: Mask) -> tuple[Any, BodyKind]:
    if not reply.body:
        return None, BodyKind.EMPTY
    kind = reply.headers.get("Content-Type", "").strip().lower()
    if _JSON.match(kind) or not kind:
        try:
            return _parsed(reply.body.decode("utf-8"), mask), BodyKind.JSON
        except (ValueError, RecursionError):
            pass  # it says JSON, and is not: as text it can at least be looked at
    if _TEXT.match(kind) or _JSON.match(kind) or not kind:
        return mask.known(_SURROGATE.sub("\ufffd", _decoded(reply.body, kind))), BodyKind.TEXT
    return base64.b64encode(mask.known_bytes(reply.body)).decode(), BodyKind.BASE64


def _parsed(text: str, mask: Mask) -> Any:
    """Return JSON with secrets masked after it was read, since it may write any character in several ways. Raises ValueError."""
    if "\\" not in text and mask.known(text) == text:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)

    def number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
        return lambda literal: kind(literal) if mask.known(literal) == literal else redact.MASK

    return _masked(json.loads(text, parse_constant=_refuse, parse_int=number(int), parse_float=number(_finite)), mask)


def _finite(literal: str) -> float:
    """Return a number; raises ValueError for one that is too large for JSON to hold it again."""
    number = float(literal)
    if math.isinf(number):
        raise ValueError("too large")
    return number


def _masked(value: Any, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask.known(value)
    if isinstance(value, list):
        return [_masked(item, mask) for item in value]
    if isinstance(value, dict):
        return {mask.known(name): _masked(item, mask) for name, item in value.items()}
    return value


def _decoded(body: bytes, kind: str) -> str:
    charset = kind.partition("charset=")[2].partition(";")[0].strip("\"' ") or "utf-8"
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and infinity are no JSON; Python alone reads them
