"""Reads a CSV file record by record from any byte on, holding one record at a time."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

LONGEST_RECORD = 256 * 1024
_MOST_LINES = 200
DELIMITERS = ",;\t"


@dataclass(frozen=True)
class Record:
    """Values of a record, the line (from 1) it began at, and the byte and line at which the next one begins.

    `cells` is None for what can't be read: a quote that is never closed, or a record over LONGEST_RECORD bytes; empty for an
    empty line.
    """

    cells: list[str] | None
    line: int
    next_byte: int
    next_line: int


def read_header(file: IO[bytes]) -> tuple[list[str], str, int]:
    """Return the first line's values, the delimiter that splits it best, and the byte behind it."""
    file.seek(0)
    text = file.readline(LONGEST_RECORD).decode("utf-8-sig", "replace")
    delimiter = max(DELIMITERS, key=text.count)
    return _split(text, delimiter) or [], delimiter, file.tell()


def records(file: IO[bytes], delimiter: str, byte: int, line: int) -> Iterator[Record]:
    """Yield the records from a byte on, which is the beginning of `line`."""
    file.seek(byte)
    while raw := file.readline(LONGEST_RECORD):
        after_first, first_line = file.tell(), line
        whole = raw.endswith(b"\n") or len(raw) < LONGEST_RECORD
        if not whole:
            _skip_line(file)
            line += 1
            yield Record(None, first_line, file.tell(), line)
            continue
        joined, lines = _joined(file, raw)
        if joined is None:  # the rest may be fine: go on behind the line whose quote is never closed
            file.seek(after_first)
            lines = 1
        line += lines
        yield Record(None if joined is None else _split(joined.decode("utf-8", "replace"), delimiter), first_line, file.tell(), line)


def _joined(file: IO[bytes], raw: bytes) -> tuple[bytes | None, int]:
    """Return a record whose quotes are closed, over as many lines as it takes, and how many; None where they never are."""
    parts, quotes, size = [raw], raw.count(b'"'), len(raw)
    while quotes % 2:
        more = file.readline(LONGEST_RECORD)
        size += len(more)
        if not more or size > LONGEST_RECORD or len(parts) >= _MOST_LINES:
            return None, 0
        parts.append(more)
        quotes += more.count(b'"')
    return b"".join(parts), len(parts)


def _skip_line(file: IO[bytes]) -> None:
    while (part := file.readline(LONGEST_RECORD)) and not part.endswith(b"\n"):
        pass


def _split(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([text.replace("\0", "\N{SYMBOL FOR NULL}")], delimiter=delimiter), [])
    except csv.Error:
        return None
