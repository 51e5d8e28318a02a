"""One value of one declared field: its JSON type, its bounds, and the form in which it is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from core.errors import InvalidInput
from core.http.guard import clean_url
from integrations.contract.fields import Field, FieldKind

MAX_ENTRIES = 100
MAX_NAME = 200
BIGGEST = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
"""No value: the default holds, or the stored one."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def checked_value(field: Field, value: object, path: str) -> Any:
    """Return `value` as it is stored, or MISSING where it is absent or empty; raises InvalidInput on `path`, never showing a secret."""
    if value is MISSING:
        return MISSING
    if value is None:
        advice = "leave the field out to keep the present value" if field.secret else "leave the field out"
        raise InvalidInput.of(path, f"can't be null; {advice}.")
    clean = _KINDS[FieldKind(field.kind)](field, value, path)
    if clean in ("", [], {}):
        if field.required:
            advice = "; leave the field out to keep the present value" if field.secret else ""
            raise InvalidInput.of(path, f"can't be empty{advice}.")
        return MISSING
    return clean


def _text(field: Field, value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput.of(path, "must be a text.")
    # what is pasted often carries a line break at its end; blanks may be part of a password
    text = value.strip("\r\n") if field.secret else value.strip()
    return _fitting(field, text, path, _CONTROL, "a line break or another control character")


def _multiline(field: Field, value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput.of(path, "must be a text.")
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return _fitting(field, text if text.strip() else "", path, _CONTROL_IN_LINES, "a control character")


def _fitting(field: Field, text: str, path: str, forbidden: re.Pattern[str], name: str) -> str:
    """Return the text if it keeps to the field's length, pattern and characters."""
    if len(text) > field.max_length:
        raise InvalidInput.of(path, f"has {len(text)} characters; at most {field.max_length} are allowed.")
    if forbidden.search(text):
        raise InvalidInput.of(path, f"holds {name}; remove it.")
    if _SURROGATE.search(text):
        raise InvalidInput.of(path, "holds half of a character (a lone surrogate); write it anew.")
    if text and field.pattern and not re.fullmatch(field.pattern, text):
        plain = "".join(character for character in text if character.isascii() and not character.isspace())
        if plain != text and re.fullmatch(field.pattern, plain):  # a pattern alone would tell nobody
            raise InvalidInput.of(path, "holds a blank, or a character that can't be in it; copy it anew.")
        raise InvalidInput.of(path, f"does not have the expected form{_such_as(field)}.")
    return text


def _such_as(field: Field) -> str:
    example = field.placeholder or (field.example if isinstance(field.example, str) else "")
    return f", such as {example}" if example else f" ({field.pattern})"


def _url(field: Field, value: object, path: str) -> str:
    text = _text(field, value, path)
    return clean_url(text, path) if text else ""


def _number(field: Field, value: object, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(_as_float(value)):
        raise InvalidInput.of(path, "must be a number.")
    return _bounded(field, value, path)


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _integer(field: Field, value: object, path: str) -> int | float:
    whole = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value.is_integer())
    if isinstance(value, bool) or not whole or not isinstance(value, int | float):
        raise InvalidInput.of(path, "must be a whole number.")
    return _bounded(field, int(value), path)


def _bounded(field: Field, value: int | float, path: str) -> int | float:
    low, high = -BIGGEST if field.low is None else field.low, BIGGEST if field.high is None else field.high
    if not low <= value <= high:
        raise InvalidInput.of(path, f"must lie between {low:.15g} and {high:.15g}.")
    return value


def _boolean(field: Field, value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput.of(path, "must be true or false.")
    return value


def _choice(field: Field, value: object, path: str) -> str:
    if value == "" and not field.required:
        return ""
    if not isinstance(value, str) or value not in (known := [name for name, _ in field.choices]):
        names = ", ".join(name for name, _ in field.choices)
        raise InvalidInput.of(path, f"must be one of {names}.")
    return str(known[known.index(value)])


def _words(field: Field, value: object, path: str) -> list[str]:
    if not isinstance(value, list | tuple):
        raise InvalidInput.of(path, "must be a list of texts.")
    if len(value) > MAX_ENTRIES:
        raise InvalidInput.of(path, f"has {len(value)} entries; at most {MAX_ENTRIES} are allowed.")
    words: list[str] = []
    for place, item in enumerate(value):
        try:
            word = _choice(field, item, path) if field.choices else _text(field, item, path)
        except InvalidInput as error:
            raise InvalidInput.of(path, f"entry {place}: {error.fields[path][0]}") from None
        if not word:
            raise InvalidInput.of(path, f"entry {place}: can't be empty.")
        if word not in words:
            words.append(word)
    return words


def _mapping(field: Field, value: object, path: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise InvalidInput.of(path, 'must be a JSON object of names and texts, such as {"name": "value"}.')
    if len(value) > MAX_ENTRIES:
        raise InvalidInput.of(path, f"has {len(value)} entries; at most {MAX_ENTRIES} are allowed.")
    return dict(_entries(field, value.items(), path))


def _entries(field: Field, items: Iterable[tuple[object, object]], path: str) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for name, text in items:
        clean = name.strip() if isinstance(name, str) else ""
        if not clean or len(clean) > MAX_NAME or not clean.isprintable():
            raise InvalidInput.of(path, f"a name must be a text of 1 to {MAX_NAME} printable characters.")
        if clean in seen:
            raise InvalidInput.of(path, f"{clean} is given twice.")
        seen.add(clean)
        try:
            yield clean, _text(field, text, path)
        except InvalidInput as error:
            raise InvalidInput.of(path, f"{clean}: {error.fields[path][0]}") from None


_KINDS: dict[FieldKind, Callable[[Field, object, str], Any]] = {
    FieldKind.TEXT: _text,
    FieldKind.MULTILINE: _multiline,
    FieldKind.URL: _url,
    FieldKind.INTEGER: _integer,
    FieldKind.NUMBER: _number,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.CHOICE: _choice,
    FieldKind.WORDS: _words,
    FieldKind.MAPPING: _mapping,
}
