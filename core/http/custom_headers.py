"""Headers that a webhook adds to its requests: which are allowed, and how they are shown (names only)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.errors import InvalidInput

MASK = "********"
MAX_HEADERS = 50
MAX_NAME = 100
MAX_VALUE = 4096
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # token of RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# what the engine sets itself, what HTTP decides hop by hop, and what would let one webhook pose as another caller
FORBIDDEN = frozenset(
    {
        "accept-encoding",
        "alt-used",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "cookie2",
        "date",
        "expect",
        "forwarded",
        "host",
        "http2-settings",
        "keep-alive",
        "origin",
        "referer",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "x-real-ip",
    }
)
FORBIDDEN_PREFIXES = ("webhook-", "x-hub-signature", "x-repoguard-", "x-forwarded-", "proxy-", "sec-", "access-control-", ":")


def check_headers(headers: object, stored: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return valid headers; a value of MASK keeps the one in `stored`. Raises InvalidInput, naming the header and the rule."""
    if headers is None:
        return {}
    if not isinstance(headers, dict):
        raise _invalid('must be an object of names and values, such as {"Authorization": "Bearer 5f2b9c"}.')
    if len(headers) > MAX_HEADERS:
        raise _invalid(f"has {len(headers)} entries; at most {MAX_HEADERS} are allowed.")
    known = {name.lower(): value for name, value in (stored or {}).items()}
    seen: set[str] = set()
    result: dict[str, str] = {}
    for name, value in headers.items():
        _check_name(name)
        if name.lower() in seen:
            raise _invalid(f"{name} is given twice; names differ in more than capitals.")
        seen.add(name.lower())
        if value == MASK:
            if name.lower() not in known:
                raise _invalid(f"{name} has no stored value that {MASK} could stand for; give its value.")
            value = known[name.lower()]
        result[name] = _checked_value(name, value)
    return result


def masked(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Return the headers with every value hidden."""
    return dict.fromkeys(headers or {}, MASK)


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME or not _NAME.fullmatch(name):
        raise _invalid(f"{name[:MAX_NAME]!r} is not a header name: letters, digits and hyphens, at most {MAX_NAME}.")
    lower = name.lower()
    if lower in FORBIDDEN or lower.startswith(FORBIDDEN_PREFIXES):
        raise _invalid(f"{name} can't be set: the portal, HTTP or a proxy sets it.")


def _checked_value(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise _invalid(f"{name} must have a text as its value.")
    value = value.strip(" \t")
    if len(value) > MAX_VALUE:
        raise _invalid(f"{name} has {len(value)} characters; at most {MAX_VALUE} are allowed.")
    if not _VALUE.fullmatch(value):
        raise _invalid(f"{name} holds a line break, a control character or one outside Latin-1.")
    return value


def _invalid(sentence: str) -> InvalidInput:
    return InvalidInput.of("headers", sentence)
