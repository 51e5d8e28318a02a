"""Texts in SARIF: messages with placeholders, descriptions, weaknesses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

LONGEST = 10_000
LINE = 300
_LONGEST_ARGUMENT = 1_000
_LONGEST_LINK = 2_000
_MOST_PLACES = 100
_MOST_CWE = 20
_PLACE = re.compile(r"\{\{|\}\}|\{(\d{1,3})\}")
_LINK = re.compile(r"\[([^\[\]]{1,500})\]\(\d{1,9}\)")
_CWE = re.compile(r"cwe[-_:/ ]{0,2}(\d{1,6})(?!\d)", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,6}")

Strings = Mapping[str, Any]


def written(value: Any) -> str:
    """Return the text of a multiformatMessageString, which some write as a plain text."""
    if isinstance(value, dict):
        text = value.get("text")
        if not isinstance(text, str) or not text:
            text = value.get("markdown")
        return text[:LONGEST] if isinstance(text, str) else ""
    return value[:LONGEST] if isinstance(value, str) else ""


def message(value: Any, *strings: Any) -> str:
    """Return a message: its own text, or what `strings` (of the rule, of the tool) hold under its id; placeholders filled in."""
    if not isinstance(value, dict):
        return written(value)
    text = value.get("text")
    if not isinstance(text, str) or not text:
        text = _by_id(value.get("id"), strings) or written(value)
    if len(text) > LONGEST:
        text = text[:LONGEST]
    arguments = value.get("arguments")
    if isinstance(arguments, list) and arguments and "{" in text:
        text = _filled(text, arguments)
    if "](" in text:
        text = _LINK.sub(r"\1", text)
    return text


def _by_id(name: Any, strings: Iterable[Any]) -> str:
    if isinstance(name, str):
        for known in strings:
            if isinstance(known, dict) and (found := written(known.get(name))):
                return found
    return ""


def _filled(text: str, arguments: list[Any]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        at = int(match[1])
        found = arguments[at] if at < len(arguments) else None
        return str(found)[:_LONGEST_ARGUMENT] if isinstance(found, str | int | float) else match[0]

    return _PLACE.sub(value, text, count=_MOST_PLACES)[:LONGEST]


def first_line(text: str) -> str:
    """Return the first line that says something."""
    return text[: LINE * 4].strip().partition("\n")[0].strip()[:LINE]


def weaknesses(values: Iterable[Any], *, bare: bool = False) -> list[str]:
    """Return the CWE ids in texts such as tags; `bare` numbers count where the place says that they are CWE's."""
    found = []
    for value in values:
        if isinstance(value, str):
            match = _CWE.search(value[:LINE])
            number = match[1] if match else value.strip() if bare and _NUMBER.fullmatch(value.strip()) else ""
        else:
            number = str(value) if bare and type(value) is int and 0 < value < 1_000_000 else ""
        if number:
            found.append(f"CWE-{int(number)}")
    return list(dict.fromkeys(found))[:_MOST_CWE]


def listed(value: Any, most: int) -> list[Any]:
    """Return a list of at most `most` values, also where a single one was written without a list."""
    if isinstance(value, list):
        return value[:most]
    return [value] if isinstance(value, str | int) else []


def objects(value: Any, most: int) -> list[dict[str, Any]]:
    """Return the objects among the first `most` values of a list."""
    return [item for item in value[:most] if isinstance(item, dict)] if isinstance(value, list) else []


def part(value: Any, name: str) -> dict[str, Any]:
    """Return the object under a name, an empty one where there is none."""
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def web_address(value: Any) -> str:
    """Return a link that can be followed, "" for anything else."""
    return value[:_LONGEST_LINK] if isinstance(value, str) and value.startswith(("https://", "http://")) else ""
