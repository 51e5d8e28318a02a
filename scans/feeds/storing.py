"""Brings the stored rows of a list in line with a file: only rows that differ are written, so that the same file writes none.

PostgreSQL gets them by COPY, in one transaction. On SQLite, whose only writer that would keep from everybody, they are committed by the
thousand; a kill in between leaves a mixture of two days, which the next run mends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, fields
from datetime import date
from itertools import islice
from typing import Any

from django.db import connection, models, transaction

from integrations.contract.feeds import Exploited, FeedName, FeedRow, Score
from scans.feeds.checking import Keys
from scans.models.feeds import KnownExploited, VulnerabilityScore

BATCH_ROWS = 1000
_MODELS: dict[str, type[models.Model]] = {FeedName.EPSS: VulnerabilityScore, FeedName.KEV: KnownExploited}
_ROWS: dict[str, type[FeedRow]] = {FeedName.EPSS: Score, FeedName.KEV: Exploited}


def store(feed: str, rows: Iterable[FeedRow], keys: Keys, stored: Callable[[int], None]) -> int:
    """Store all rows of a list, and remove those that it does not have any more; returns how many rows were written or removed.

    `stored` hears how many rows were looked at, in the transaction that stores them: what it raises undoes that.
    """
    if connection.vendor == "postgresql":
        return _copy(feed, rows, len(keys), stored)
    written, looked_at = 0, 0
    for batch in _batches(rows):
        with transaction.atomic():
            written += _upsert(feed, batch)
            looked_at += len(batch)
            stored(looked_at)
    return written + _remove(feed, keys)


def _names(feed: str) -> tuple[str, list[str]]:
    return _MODELS[feed]._meta.db_table, [one.name for one in fields(_ROWS[feed])]


def _copy(feed: str, rows: Iterable[FeedRow], count: int, stored: Callable[[int], None]) -> int:
    table, names = _names(feed)
    columns, values = ", ".join(names), ", ".join(f"r.{name}" for name in names)
    rest = names[1:]
    differs = f"({', '.join(f't.{name}' for name in rest)}) IS DISTINCT FROM ({', '.join(f'r.{name}' for name in rest)})"
    changes = ", ".join(f"{name} = excluded.{name}" for name in rest)
    with transaction.atomic(), connection.wrap_database_errors, connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMP TABLE feed_rows (LIKE {table}) ON COMMIT DROP")
        with connection.connection.cursor() as raw, raw.copy(f"COPY feed_rows ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(astuple(row))
        cursor.execute("ANALYZE feed_rows")
        # rows that are the same are left out before: ON CONFLICT would lock, and so write, each of them
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} FROM feed_rows r LEFT JOIN {table} t ON t.cve = r.cve "  # noqa: S608 - our own names
            f"WHERE t.cve IS NULL OR {differs} ON CONFLICT (cve) DO UPDATE SET {changes}"
        )
        written = cursor.rowcount
        cursor.execute(f"DELETE FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM feed_rows r WHERE r.cve = t.cve)")  # noqa: S608
        written += cursor.rowcount
        cursor.execute("DROP TABLE feed_rows")
        stored(count)
        return int(written)


def _upsert(feed: str, batch: tuple[FeedRow, ...]) -> int:
    table, names = _names(feed)
    rest = names[1:]
    marks, changes = ", ".join(["%s"] * len(names)), ", ".join(f"{name} = excluded.{name}" for name in rest)
    differs = f"({', '.join(f'{table}.{name}' for name in rest)}) IS NOT ({', '.join(f'excluded.{name}' for name in rest)})"
    sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks}) ON CONFLICT (cve) DO UPDATE SET {changes} WHERE {differs}"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[_plain(value) for value in astuple(row)] for row in batch])
        return int(cursor.rowcount)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _batches(rows: Iterable[FeedRow]) -> Iterator[tuple[FeedRow, ...]]:
    found = iter(rows)
    while batch := tuple(islice(found, BATCH_ROWS)):
        yield batch


def _remove(feed: str, keys: Keys) -> int:
    model = _MODELS[feed]
    removed, after = 0, ""
    while cves := list(model._default_manager.filter(cve__gt=after).order_by("cve").values_list("cve", flat=True)[:BATCH_ROWS]):
        after = cves[-1]
        gone = [cve for cve in cves if cve not in keys]
        if gone:
            removed += model._default_manager.filter(cve__in=gone).delete()[0]
    return removed
