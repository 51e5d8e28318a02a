"""What a scan source yields, as lines of JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

import orjson

from integrations.contract.reports import ReportedFinding, ReportedLocation, ReportedPackage
from integrations.contract.scans import Problem, ScanItem, Section

_KINDS: dict[type, str] = {Section: "section", ReportedFinding: "finding", Problem: "problem"}
_MOMENTS = ("created_at", "updated_at")


def lines_of(items: Iterable[ScanItem]) -> bytes:
    """Return a line for each item."""
    return b"".join(_line({_KINDS[type(item)]: asdict(item)}) for item in items)


def items_of(lines: Iterable[bytes]) -> Iterator[ScanItem]:
    """Yield the items of lines."""
    for line in lines:
        (kind, values), = _parsed(line).items()  # fmt: skip
        yield _MAKERS[kind](values)


def _line(value: Any) -> bytes:
    try:
        return orjson.dumps(value, default=_plain, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a number over 64 bits, or half of a surrogate pair: legal in what a source wrote
        return json.dumps(value, default=_plain).encode() + b"\n"


def _parsed(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except ValueError:  # see _line()
        return json.loads(line)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, set | frozenset | tuple):
        return list(value)
    return str(value)


def _finding(values: dict[str, Any]) -> ReportedFinding:
    package = values["package"]
    values["package"] = ReportedPackage(**package) if package else None
    values["locations"] = tuple(ReportedLocation(**one) for one in values["locations"])
    values["identifiers"] = tuple((kind, value) for kind, value in values["identifiers"])
    values["cvss"], values["cwe"] = tuple(values["cvss"]), tuple(values["cwe"])
    for name in _MOMENTS:
        values[name] = datetime.fromisoformat(values[name]) if values[name] else None
    return ReportedFinding(**values)


_MAKERS: dict[str, Callable[[dict[str, Any]], ScanItem]] = {
    "section": lambda values: Section(**values),
    "finding": _finding,
    "problem": lambda values: Problem(**values),
}
