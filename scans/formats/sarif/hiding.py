"""Keeps secrets that scanners found out of what is stored: they stand in snippets, in messages, and in properties."""

from __future__ import annotations

from typing import Any

from core import redact

_DROPPED = frozenset(
    {
        "snippet", "contextregion", "insertedcontent", "rendered", "match", "secret", "raw", "rawv2", "line", "offender", "lines",
        "codeflows", "fixes", "stacks", "graphs", "attachments", "webrequest", "webresponse", "commitmessage", "author", "email",
    }
)  # fmt: skip
_PLAIN = frozenset({"uri", "uriBaseId", "ruleId", "level", "kind", "guid"})
_SHORTEST_SECRET = 6


def hidden(value: Any) -> Any:
    """Return JSON without code and without what looks like a secret."""
    if isinstance(value, dict):
        return {
            name: part if name in _PLAIN and isinstance(part, str) else hidden(part)
            for name, part in value.items()
            if name.lower() not in _DROPPED
        }
    if isinstance(value, list):
        return [hidden(part) for part in value]
    return redact.text(value) if isinstance(value, str) and len(value) >= _SHORTEST_SECRET else value
