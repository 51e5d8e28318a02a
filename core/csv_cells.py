"""Lines of CSV files, whose cells no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_BEFORE = "'\" \u00a0"


class _Line:
    """What the csv module writes into: it hands each line back."""

    def write(self, text: str) -> str:
        return text


def lines(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield each row as a line."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow([cell(value) for value in row])


def cell(value: Any) -> Any:
    """Return a cell that a spreadsheet takes for what it is; null is empty."""
    if isinstance(value, bool):
        return "true" if value else "false"
    # also behind quotes and spaces, which some readers take off
    return f"'{value}" if isinstance(value, str) and value.lstrip(_BEFORE).startswith(_FORMULA) else value
