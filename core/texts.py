"""Texts of other systems, as databases and terminals take them. The one place for it: whatever a service said may hold any character."""

from __future__ import annotations

from typing import Any


def storable(text: str) -> str:
    """Return a text without what databases refuse: NUL and lone surrogates."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def printable(text: str, length: int = 200, keep: str = "") -> str:
    """Return text that can't steer the terminal it is printed on; characters of `keep` stay."""
    return "".join(character if character.isprintable() or character in keep else "?" for character in text[:length])


def storable_json(value: Any) -> Any:
    """Return a JSON value whose texts and names can be stored."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable(name) if isinstance(name, str) else name: storable_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable_json(item) for item in value]
    return value
