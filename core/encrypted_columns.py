"""The columns that hold encrypted values, found among all installed models, and their stored bytes, read and replaced in bulk.

Nothing here decrypts: a stored value names its key in clear (core/fields.py), so counting and skipping by key is plain SQL.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.db import connection, models, transaction

from core.fields import EncryptedTextField

NO_KEY = "no key"
SQLITE_BATCH = 1000
_BATCH_BYTES = 16_000_000
_NEWEST = 200
_NOBODY = b"longer than a prefix"
_PREFIX = re.compile(rb"([0-9a-f]{8}):")
_COUNTS = "SELECT substr({column}, 1, 9), count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1"
_NEWEST_KEYS = (
    "SELECT DISTINCT prefix FROM (SELECT substr({column}, 1, 9) AS prefix FROM {table} ORDER BY {pk} DESC LIMIT %s) AS newest"
    " WHERE prefix IS NOT NULL"
)
# SQLite's substr of an empty value is NULL
_OTHERS = "FROM {table} WHERE {column} IS NOT NULL AND (substr({column}, 1, 9) <> %s OR length({column}) = 0) "
_SIZES = "SELECT {pk}, length({column}) " + _OTHERS + "ORDER BY {pk} LIMIT %s"
_SIZES_AFTER = "SELECT {pk}, length({column}) " + _OTHERS + "AND {pk} > %s ORDER BY {pk} LIMIT %s"
_VALUES = "SELECT {pk}, {column} " + _OTHERS + "AND {pk} BETWEEN %s AND %s ORDER BY {pk}"


@dataclass(frozen=True)
class Stored:
    """One stored value: the row's primary key as the driver gives it, and the bytes."""

    pk: Any
    value: bytes = field(repr=False)

    @property
    def key_id(self) -> str:
        """Return the id of the key that made it, or NO_KEY for what is no token of ours."""
        return _named(self.value)


@dataclass(frozen=True)
class Replacement:
    """A value to be written where the old one still stands."""

    old: Stored
    new: bytes = field(repr=False)


@dataclass(frozen=True)
class EncryptedColumn:
    """One encrypted field of one model."""

    model: type[models.Model]
    field: EncryptedTextField

    @property
    def label(self) -> str:
        """Return its name as people read it: `webhooks.Webhook.headers`."""
        return f"{self.model._meta.label}.{self.field.name}"

    def counts(self) -> dict[str, int]:
        """Return how many values each key id has; reads the whole table once."""
        found: dict[str, int] = {}
        for prefix, count in self._rows(_COUNTS):
            name = _named(bytes(prefix or b""))
            found[name] = found.get(name, 0) + int(count)
        return found

    def newest_keys(self) -> set[str]:
        """Return the key ids of the newest rows; costs the same however large the table is."""
        return {_named(bytes(row[0])) for row in self._rows(_NEWEST_KEYS, [_NEWEST])}

    def batch(self, after: Any, limit: int, *, but: str = "") -> list[Stored]:
        """Return the next values after a primary key (None: from the start), in its order, without those of the key `but`.

        At most `limit` values, and about 16 MB: a cached answer may be large.
        """
        other = f"{but}:".encode() if but else _NOBODY
        sizes = self._rows(_SIZES, [other, limit]) if after is None else self._rows(_SIZES_AFTER, [other, after, limit])
        if not sizes:
            return []
        last = _last_within(sizes)
        rows = self._rows(_VALUES, [other, sizes[0][0], last])
        return [Stored(pk, bytes(value)) for pk, value in rows] or self.batch(last, limit, but=but)

    def replace(self, changes: list[Replacement]) -> int:
        """Write each new value where the old one still stands; return how many did. One short transaction.

        A row that changed meanwhile, or that somebody has locked at this moment, is left as it is.
        """
        if not changes:
            return 0
        return self._replace_on_postgres(changes) if connection.vendor == "postgresql" else self._replace_one_by_one(changes)

    def _replace_on_postgres(self, changes: list[Replacement]) -> int:
        # rows that others hold are skipped: who never waits for a lock is in no deadlock, and holds up nobody
        pk_type = str(self.model._meta.pk.rel_db_type(connection))
        sql = self._sql(
            "WITH change AS (SELECT * FROM unnest(%s::{type}[], %s::bytea[], %s::bytea[]) AS given(pk, old, new)),"
            " free AS (SELECT {pk} AS pk FROM {table} WHERE {pk} IN (SELECT pk FROM change) FOR NO KEY UPDATE SKIP LOCKED)"
            " UPDATE {table} AS target SET {column} = change.new FROM change JOIN free USING (pk)"
            " WHERE target.{pk} = change.pk AND target.{column} = change.old",
            type=pk_type,
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [[c.old.pk for c in changes], [c.old.value for c in changes], [c.new for c in changes]])
            return int(cursor.rowcount)

    def _replace_one_by_one(self, changes: list[Replacement]) -> int:
        sql = self._sql("UPDATE {table} SET {column} = %s WHERE {pk} = %s AND {column} = %s")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(sql, [(c.new, c.old.pk, c.old.value) for c in changes])
            return int(cursor.rowcount)

    def _rows(self, template: str, params: list[Any] | None = None) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(self._sql(template), params or [])
            return list(cursor.fetchall())

    def _sql(self, template: str, **words: str) -> str:
        quote = connection.ops.quote_name
        meta = self.model._meta
        return template.format(table=quote(meta.db_table), column=quote(str(self.field.column)), pk=quote(str(meta.pk.column)), **words)


def columns() -> list[EncryptedColumn]:
    """Return every encrypted column of every installed model; inherited and proxied ones once."""
    return [
        EncryptedColumn(model, item)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
        for item in model._meta.local_concrete_fields
        if isinstance(item, EncryptedTextField)
    ]


def _named(stored: bytes) -> str:
    found = _PREFIX.match(stored)
    return found[1].decode() if found else NO_KEY


def _last_within(sizes: list[tuple[Any, ...]]) -> Any:
    last, total = sizes[0][0], 0
    for pk, size in sizes:
        total += size
        if total > _BATCH_BYTES and pk != sizes[0][0]:
            break
        last = pk
    return last
