"""Headers that people may configure for calls: names that can't break a request, and values that stay on their line."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # a token of RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
# framing, hops and addressing are the client's own
FORBIDDEN = frozenset(
    {"accept-encoding", "connection", "content-encoding", "content-length", "date", "expect", "forwarded", "host", "keep-alive"}
    | {"set-cookie", "te", "trailer", "transfer-encoding", "upgrade", "via"}
)
FORBIDDEN_PREFIXES = ("proxy-", "webhook-", "x-forwarded-", "x-repoguard-")


def name_error(name: str) -> str:
    """Return what is wrong with a header's name, "" for nothing."""
    if not _NAME.fullmatch(name):
        return f"{ascii(name)[:100]} is not a header name: letters, digits and hyphens, at most 100."
    if name.lower() in FORBIDDEN or name.lower().startswith(FORBIDDEN_PREFIXES):
        return f"{name} can't be set: the portal, HTTP or a proxy sets it."
    return ""


def header_errors(headers: Mapping[str, str]) -> list[str]:
    """Return what is wrong with headers, without their values."""
    errors = [error for name in headers if (error := name_error(name))]
    errors += [f"{name} holds a character that headers can't carry." for name, value in headers.items() if not _VALUE.fullmatch(value)]
    lower = [name.lower() for name in headers]
    return errors + [
        f"{name} is given twice; names differ in more than capitals." for name in sorted({x for x in lower if lower.count(x) > 1})
    ]
