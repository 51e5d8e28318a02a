"""The scanner's own words as they are kept: JSON of bounded size that can be stored, with what looks like a secret masked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

import orjson

from core import redact
from core.texts import storable

MOST_RAW = 16_384
_MOST_DEPTH = 60
_MOST_NAME = 200
_MOST_STRING = 8_000
_MOST_SHORT = 1_000
_MOST_LONG = 10_000
_MOST_NUMBER = 24
_LARGEST = 1 << 53  # beyond it, a number of JSON is another one to half of its readers
_SHARES = (1, 2, 8)
"""Parts of the room that are tried: JSON writes a control character with six, so the last one always fits."""
CUT = "…"


def text(value: str, most: int) -> str:
    """Return a text of at most `most` characters, storable and without what looks like a secret."""
    size = len(value)
    if size <= _MOST_SHORT:
        masked = _short(value)
    elif size <= _MOST_LONG:
        masked = _long(value)
    else:
        # masked before it is cut off, with some room: a secret cut in two is no longer known by its shape
        masked = _masked(value[: most + 1_000])
    return masked if len(masked) <= most else shortened(masked, most)


def _masked(value: str) -> str:
    return redact.body(storable(value))


# What a report says again and again: names and paths, and what its rules say about every place that they find
_short = lru_cache(maxsize=4096)(_masked)
_long = lru_cache(maxsize=256)(_masked)


def shortened(value: str, most: int) -> str:
    """Return a text cut off with an ellipsis."""
    return value if len(value) <= most else value[: most - 1] + CUT


Unmasked = bytes
"""What a scanner wrote, as JSON that was not looked through for secrets yet."""


def raw_json(raw: Mapping[str, Any]) -> str:
    """Return what the scanner wrote as JSON of at most MOST_RAW bytes: from its beginning, as far as that goes."""
    return masked_json(unmasked_json(raw))


def unmasked_json(raw: Mapping[str, Any]) -> Unmasked | str:
    """Return JSON for masked_json(), which what is stored already does without; where only a copy can be kept it is masked at once."""
    if not raw:
        return "{}"
    try:
        made = orjson.dumps(raw, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_STRICT_INTEGER)
    except TypeError:  # what JSON, all of its readers or the database can't hold
        return _copy(raw)
    return _copy(raw) if len(made) > MOST_RAW or b"\\u0000" in made else made


def masked_json(made: Unmasked | str) -> str:
    """Return JSON that can be stored: most of what scanners write needs no change, and a tenth of the time of copying it piece by piece."""
    if isinstance(made, str):
        return made
    kept = made.decode()
    if redact.is_harmless(kept):
        return kept
    # an escape hides where a word begins: the n of \n would stand before a token, and keep it from being known by its shape
    return kept if b"\\" not in made and redact.body(kept) == kept else _copy(orjson.loads(made))


def _copy(raw: Mapping[str, Any]) -> str:
    made = b""
    for share in _SHARES:
        made = orjson.dumps(_Copy(MOST_RAW // share).of(raw, 0))
        if len(made) <= MOST_RAW:
            break
    return made.decode()


@lru_cache(maxsize=4096)
def _name(name: str) -> tuple[str, bool]:
    """Return a field's name as it is kept, and whether its value is masked."""
    return _masked(name), redact.body(f'"{name}": "a value"').endswith(f'"{redact.MASK}"')


class _Copy:
    """Copies a value as far as the room goes, which is counted in bytes of its texts: a little less than JSON needs."""

    def __init__(self, room: int) -> None:
        self._room = room

    def of(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self._string(value)
        if kind is dict:
            return self._object(value, depth + 1)
        if kind is list:
            return self._list(value, depth + 1)
        self._room -= _MOST_NUMBER
        if value is None or kind is bool:
            return value
        if kind is int and -_LARGEST < value < _LARGEST:
            return value
        if kind is float:
            return value if math.isfinite(value) else None
        if isinstance(value, Decimal):  # what a streaming parser makes of fractions
            return float(value) if value.is_finite() else None
        if isinstance(value, Mapping):
            return self._object(value, depth + 1)
        return self._list(value, depth + 1) if isinstance(value, tuple | list) else self._string(_shown(value))

    def _string(self, value: str) -> str:
        kept = _short(value) if len(value) <= _MOST_SHORT else text(value, _MOST_STRING)
        size = len(kept) if kept.isascii() else len(kept.encode())
        if size > self._room:
            kept = shortened(kept, max(self._room // 4, 20))
        # what was read counts too: masking may leave little of a long text, and takes its time
        self._room -= max(size, min(len(value), _MOST_STRING) // 4) + 3
        return kept

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        self._room -= 2
        copy: dict[str, Any] = {}
        for key, item in value.items():
            name, secret = _name(key[:_MOST_NAME] if isinstance(key, str) else _shown(key))
            self._room -= len(name) + 4
            if self._room <= 0 or depth > _MOST_DEPTH:
                copy[CUT] = True
                break
            if type(item) is str:
                copy[name] = redact.MASK if secret and item else self._string(item)
            else:
                copy[name] = self.of(item, depth)
        return copy

    def _list(self, value: list[Any] | tuple[Any, ...], depth: int) -> list[Any]:
        self._room -= 2
        copy: list[Any] = []
        for item in value:
            if self._room <= 0 or depth > _MOST_DEPTH:
                copy.append(CUT)
                break
            self._room -= 1
            copy.append(self.of(item, depth))
        return copy


def _shown(value: object) -> str:
    """Return a number beyond JSON's, a time or the like as a text."""
    try:
        return str(value)[:_MOST_NAME]
    except Exception:  # an int too long for a decimal text, or whatever an object's own __str__ raises
        return type(value).__name__
