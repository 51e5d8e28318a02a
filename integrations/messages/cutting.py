"""Texts within the limits of platforms: cut where they are too long, saying so; lists with "and N more"."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
ELLIPSIS = "…"
# what would reorder or hide what is beside it; the joiners that scripts and emoji need stay
_STEERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\ufeff\u2028\u2029")


def clean(value: object, limit: int = 20_000) -> str:
    """Return a value as text without control characters but line breaks, without lone surrogates and marks that reorder text."""
    text = value if isinstance(value, str) else "" if value is None else str(value)
    text = text[:limit]
    if text.isascii() and text.isprintable():
        return text
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
    return "".join(one for one in text if one == "\n" or (unicodedata.category(one) != "Cc" and one not in _STEERING))


def line(value: object, limit: int = 2_000) -> str:
    """Return a value as one clean line."""
    return cut(" ".join(clean(value, limit * 4).split()), limit)


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters; a text that was longer ends in an ellipsis."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + ELLIPSIS if limit > 0 else ""


def cut_bytes(text: str, limit: int) -> str:
    """Return what fits into `limit` bytes of UTF-8; a text that was longer ends in an ellipsis."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= limit:
        return text
    room = limit - len(ELLIPSIS.encode())
    return raw[:room].decode("utf-8", "ignore").rstrip() + ELLIPSIS if room >= 0 else ""


def units(text: str) -> int:
    """Return the length in UTF-16 units, which is how many platforms count: 2 for an emoji."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut_escaped(text: str, limit: int, escape: Callable[[str], str], size: Callable[[str], int] = len) -> str:
    """Return `escape(text)` of a `size` of at most `limit`, cut before it is escaped so that no escape is cut in two."""
    escaped = escape(text)
    if size(escaped) <= limit:
        return escaped
    low, high = 0, min(len(text), limit)
    while low < high:
        middle = (low + high + 1) // 2
        if size(escape(text[:middle].rstrip() + ELLIPSIS)) <= limit:
            low = middle
        else:
            high = middle - 1
    return escape(text[:low].rstrip() + ELLIPSIS) if low else ""


def and_more(count: int) -> str:
    """Return what stands for what was left out."""
    return f"and {count:,} more" if count > 0 else ""


def fitting(parts: Sequence[T], limit: int, size: Callable[[T], int], reserve: int = 0) -> tuple[list[T], int]:
    """Return the first parts whose sizes together stay within `limit`, and how many were left out; these get `reserve` for saying so."""
    kept: list[T] = []
    used = 0
    for number, part in enumerate(parts):
        needs = size(part)
        is_last = number == len(parts) - 1
        if used + needs > limit - (0 if is_last else reserve):
            return kept, len(parts) - number
        kept.append(part)
        used += needs
    return kept, 0
