"""A cache whose counting is one atomic statement: what rate limits need to be exact among many processes.

On SQLite the counters live in a file of their own, so that counting never waits for a long write to the main database; on
PostgreSQL in a table. With REDIS_URL set, Redis does the same. (Django's DatabaseCache reads, adds and writes: measured with
8 processes it let 522 requests through a limit of 100.)
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection
from redis.exceptions import RedisError

from core.sidefile import SideFile

_TABLE = """CREATE TABLE IF NOT EXISTS core_counter (
    name varchar(250) PRIMARY KEY, value text NOT NULL, expires double precision)"""
_SET = """INSERT INTO core_counter (name, value, expires) VALUES ({0}, {0}, {0})
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires = excluded.expires"""
_ADD = _SET + " WHERE core_counter.expires <= {0} RETURNING 1"
_INCREMENT = """UPDATE core_counter SET value = CAST(CAST(value AS bigint) + {0} AS text)
    WHERE name = {0} AND (expires IS NULL OR expires > {0}) RETURNING CAST(value AS bigint)"""
_GET = "SELECT value FROM core_counter WHERE name = {0} AND (expires IS NULL OR expires > {0})"
_TOUCH = "UPDATE core_counter SET expires = {0} WHERE name = {0} AND (expires IS NULL OR expires > {0}) RETURNING 1"
_DELETE = "DELETE FROM core_counter WHERE name = {0} RETURNING 1"
_PRUNE = "DELETE FROM core_counter WHERE expires <= {0}"
_CLEAR = "DELETE FROM core_counter"
_PRUNE_EVERY_SECONDS = 60.0
_FILE_TIMEOUT = 5.0
# what the counters raise when Redis or their file can't be used (in PostgreSQL's table: the errors of the database)
FAILURES: tuple[type[Exception], ...] = (RedisError, sqlite3.Error, OSError)


class CounterCache(BaseCache):
    """Django cache backend. Values are JSON; keys expire; `add` and `incr` are one statement each."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._path = location
        self._file = SideFile(location, [_TABLE], _FILE_TIMEOUT)
        self._pruned_at = 0.0

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Store `value` unless the key is set; say whether it was stored."""
        self._prune()
        row = self._one(_ADD, [self._name(key, version), json.dumps(value), self._expiry(timeout), time.time()])
        return row is not None

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        """Return the value, or `default`."""
        row = self._one(_GET, [self._name(key, version), time.time()])
        return default if row is None else json.loads(row[0])

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        """Store a value."""
        self._run(_SET, [self._name(key, version), json.dumps(value), self._expiry(timeout)])

    def touch(self, key: str, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Give a key a new expiry; say whether it was set."""
        return self._one(_TOUCH, [self._expiry(timeout), self._name(key, version), time.time()]) is not None

    def delete(self, key: str, version: int | None = None) -> bool:
        """Delete a key; say whether it was set."""
        return self._one(_DELETE, [self._name(key, version)]) is not None

    def incr(self, key: str, delta: int = 1, version: int | None = None) -> int:
        """Add to a number and return it; ValueError when the key is not set."""
        row = self._one(_INCREMENT, [delta, self._name(key, version), time.time()])
        if row is None:
            raise ValueError(f"Key '{key}' not found")
        return int(row[0])

    def clear(self) -> None:
        """Delete everything."""
        self._run(_CLEAR, [])

    def _name(self, key: str, version: int | None) -> str:
        return self.make_and_validate_key(key, version=version)

    def _expiry(self, timeout: Any) -> float | None:
        return self.get_backend_timeout(timeout)

    def _prune(self) -> None:
        now = time.time()
        if now - self._pruned_at > _PRUNE_EVERY_SECONDS:
            self._pruned_at = now
            self._run(_PRUNE, [now])

    def _one(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        rows = self._run(sql, parameters)
        return rows[0] if rows else None

    def _run(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(sql.format("%s"), parameters)
                return cursor.fetchall() if cursor.description else []
        return self._file.run(sql.format("?"), parameters)

    def close(self, **kwargs: Any) -> None:
        """Keep the connection: Django calls this after each request, and a file needs no reconnecting."""


def lives_in_database() -> bool:
    """Say whether the counters are a table of the main database, and not in Redis or a file."""
    return isinstance(caches["counters"], CounterCache) and connection.vendor == "postgresql"


def works() -> bool:
    """Write a counter and say whether that succeeded; raises what the database raises where the counters live in it."""
    try:
        caches["counters"].set("core.health", 1, 60)
    except FAILURES:
        return False
    return True
