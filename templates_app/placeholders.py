"""Placeholders: `{{ name }}` in the strings of a blueprint stands for a value. This is all there is; there is no template language.

Values are put into strings that were parsed from JSON already, once: a value can neither become another field, nor is what it
holds looked at again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

NAME = r"[a-z][a-z0-9_]{0,59}"
_PLACEHOLDER = re.compile(r"\{\{ ?(" + NAME + r") ?\}\}")
_ABSENT = object()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted path, text) of every string in a JSON value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from leaves(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}.{index}" if path else str(index))


def names_in(text: str) -> list[str]:
    """Return the values that a string names, in order."""
    return _PLACEHOLDER.findall(text)


def whole(text: str) -> str | None:
    """Return the value's name where a string is one placeholder and nothing else: then the value keeps its type."""
    match = _PLACEHOLDER.fullmatch(text)
    return match[1] if match else None


def leftover(text: str) -> bool:
    """Say whether a string opens a placeholder that names no value, such as `{{ 1x }}`."""
    return "{{" in _PLACEHOLDER.sub("", text)


def fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Return a JSON value with its placeholders replaced; what is a placeholder of a value that is not there is left out."""
    found = _fill(value, values)
    return None if found is _ABSENT else found


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        name = whole(value)
        if name is not None:
            return values.get(name, _ABSENT)
        return _PLACEHOLDER.sub(lambda match: _text(values.get(match[1], "")), value)
    if isinstance(value, Mapping):
        filled = {name: _fill(item, values) for name, item in value.items()}
        return {name: item for name, item in filled.items() if item is not _ABSENT}
    if isinstance(value, list):
        return [item for item in (_fill(item, values) for item in value) if item is not _ABSENT]
    return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
