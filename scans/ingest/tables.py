"""The statements that read and write thousands of rows at once: COPY on PostgreSQL, prepared inserts on SQLite.

COPY stores some ten times as many rows a second as the ORM's bulk_create.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Any, NamedTuple

from django.db import DatabaseError, connection, models

from scans.models import Finding, FindingIdentifier, Presence

logger = logging.getLogger(__name__)
_LINES = 100
_NULL = "\x1a"
"""A character that ends texts nowhere but on old systems; in a text of ours it is escaped."""
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), (_NULL, "\\x1a"))


MANY_ROWS = 2000


class Known(NamedTuple):
    """A stored finding, with its open presence in the stream that is written, if it has one."""

    finding_id: uuid.UUID
    state: str
    presence_id: int | None
    content: uuid.UUID | None
    first_scan_id: uuid.UUID | None


_KNOWN = """
SELECT {key}, f.id, f.state, p.id, p.content, p.first_scan_id FROM {source}
LEFT JOIN scans_presence p ON p.finding_id = f.id AND p.stream_id = %s AND p.closed_scan_id IS NULL
WHERE {key} {among}
"""


def known_places(stream_id: uuid.UUID, identities: Collection[uuid.UUID]) -> dict[uuid.UUID, Known]:
    """Return the stored findings of these identities: one statement."""
    return _known("f.identity", "scans_finding f", stream_id, identities)


def known_packages(stream_id: uuid.UUID, keys: Collection[uuid.UUID]) -> dict[uuid.UUID, Known]:
    """Return the stored findings that have these names, by name: one statement."""
    return _known("i.key", "scans_findingidentifier i JOIN scans_finding f ON f.id = i.finding_id", stream_id, keys)


def known_findings(stream_id: uuid.UUID, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Known]:
    """Return these stored findings, by id: one statement."""
    return _known("f.id", "scans_finding f", stream_id, ids)


def _known(key: str, source: str, stream_id: uuid.UUID, wanted: Collection[uuid.UUID]) -> dict[uuid.UUID, Known]:
    if not wanted:
        return {}
    given: list[Any]
    if connection.vendor == "postgresql":
        among, given = "= ANY(%s)", [stream_id, list(wanted)]
    else:
        among, given = "IN (SELECT value FROM json_each(%s))", [stream_id.hex, json.dumps([one.hex for one in wanted])]
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN.format(key=key, source=source, among=among), given)
        rows = cursor.fetchall()
    return {_id(row[0]): Known(_id(row[1]), row[2], row[3], _id_or_none(row[4]), _id_or_none(row[5])) for row in rows}


def _id(value: Any) -> uuid.UUID:
    return value if isinstance(value, uuid.UUID) else uuid.UUID(value)


def _id_or_none(value: Any) -> uuid.UUID | None:
    return None if value is None else _id(value)


def insert(model: type[Finding | FindingIdentifier | Presence], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows, in the caller's transaction: of text and numbers, with ids in hexadecimal, JSON as text, times by stored_time()."""
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return
    rows = chain([first], rows)
    columns = ", ".join(f'"{name}"' for name in names)
    table = model._meta.db_table
    if connection.vendor == "postgresql":
        with (
            connection.wrap_database_errors,
            connection.connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({columns}) FROM STDIN (NULL '{_NULL}')") as copy,
        ):
            while some := list(islice(rows, _LINES)):
                copy.write("".join(map(_line, some)))
        return
    marks = ", ".join(["%s"] * len(names))
    with connection.cursor() as cursor:
        sql = f"INSERT INTO {table} ({columns}) VALUES ({marks})"  # noqa: S608 - names of our own columns
        cursor.executemany(sql, list(rows))


def _line(row: Sequence[Any]) -> str:
    """Return a row as a line of COPY's text format; psycopg's own write_row takes twice the time."""
    texts = [value if type(value) is str else _NULL if value is None else str(value) for value in row]
    line = "\t".join(texts)
    nulls = row.count(None)
    if "\\" in line or "\n" in line or "\r" in line or line.count("\t") >= len(texts) or (line.count(_NULL) != nulls):
        line = "\t".join([_NULL if value is None else _escaped(text) for value, text in zip(row, texts, strict=True)])
    return line + "\n"


def _escaped(text: str) -> str:
    for letter, written in _ESCAPES:
        if letter in text:
            text = text.replace(letter, written)
    return text


def stored_time(moment: datetime) -> Any:
    """Return a time as insert() takes it."""
    return moment.isoformat() if connection.vendor == "postgresql" else models.DateTimeField().get_db_prep_value(moment, connection)


def count_anew(rows: int) -> None:
    """Have PostgreSQL count the tables after so many new findings, outside of their transaction; by itself it waits for a tenth to change.

    Until then it takes thousands of findings of a new ref for one, and lists of them are planned accordingly.
    """
    if connection.vendor != "postgresql" or rows < MANY_ROWS:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'scans_presence'::regclass")
            (counted,) = cursor.fetchone() or (0,)
            if rows * 10 < counted:
                cursor.execute("ANALYZE scans_finding, scans_presence, scans_findingidentifier")
    except DatabaseError:  # the findings are stored: lists are slower for a while
        logger.warning("tables_not_counted", exc_info=True)


def update_presences(rows: Sequence[tuple[int, uuid.UUID, str, str]]) -> None:
    """Write id, content, reported and raw of presences whose report changed."""
    if rows:
        changed = [Presence(id=id, content=content) for id, content, _, _ in rows]
        for presence, (_, _, reported, raw) in zip(changed, rows, strict=True):
            presence.reported, presence.raw = json.loads(reported), json.loads(raw or "null")
        Presence.objects.bulk_update(changed, ["content", "reported", "raw"], batch_size=200)
