"""Texts of others in GitHub's Markdown, so that they read as they were written: no markup, links, mentions or references."""

from __future__ import annotations

import re

from integrations.messages.cutting import cut_escaped

# GitHub looks for mentions and references after it has resolved entities, so these get a mark of no width behind them
_SIGNS = re.compile(r"(?P<noted>[@#]|\bGH-)|[\\`*_{}\[\]<>()!|~&:\"$]|(?<=\bwww)\.", re.IGNORECASE)
_NO_WIDTH = "\u200b"


def escaped(text: str) -> str:
    """Return a text on one line."""
    return _SIGNS.sub(lambda found: found[0] + _NO_WIDTH if found["noted"] else f"&#{ord(found[0])};", " ".join(text.split()))


def short(text: str, limit: int) -> str:
    """Return an escaped text of at most `limit` characters."""
    return cut_escaped(text, limit, escaped)


def link(text: str, url: str, limit: int = 600) -> str:
    """Return a link with an escaped text; only the text where there is no address."""
    told = short(text, limit)
    return f"[{told}](<{url}>)" if url else told
