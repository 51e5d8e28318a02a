"""What keys do: requests and errors for each key, route and day, exact among any number of processes.

On PostgreSQL each request adds to its row. SQLite has one writer at a time, and no answer may wait for a long import: there
requests are counted in a file beside the database, and folded into it each minute and whenever somebody reads the counts.
The file holds each day's totals, not differences, so folding twice does no harm, and a lost file costs only what was not folded.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from access.models import ApiKey, ApiUsage
from core.sidefile import SideFile

logger = logging.getLogger(__name__)
USED_EVERY = timedelta(minutes=1)
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
_ALIAS = re.compile(r"^/api/(?!v\d)")
# one statement, so that concurrent requests of a key never lose a count
_UPSERT = """INSERT INTO access_apiusage (key_id, day, route, requests, errors) VALUES (%s, %s, %s, 1, %s)
    ON CONFLICT (key_id, day, route) DO UPDATE
    SET requests = access_apiusage.requests + 1, errors = access_apiusage.errors + excluded.errors"""

_FILE_TIMEOUT = 2.0
_FOLD_ROWS = 1000
_TOTALS = """CREATE TABLE IF NOT EXISTS usage_total (
    key_id text, day text, route text, requests integer NOT NULL, errors integer NOT NULL, folded integer NOT NULL DEFAULT 0,
    PRIMARY KEY (key_id, day, route)) WITHOUT ROWID"""
_ADD = """UPDATE usage_total SET requests = requests + 1, errors = errors + ?
    WHERE key_id = ? AND day = ? AND route = ? RETURNING 1"""
_START = """INSERT INTO usage_total (key_id, day, route, requests, errors) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET requests = requests + 1, errors = errors + ?"""
_UNFOLDED = "SELECT key_id, day, route, requests, errors FROM usage_total WHERE requests > folded LIMIT ?"
_FOLDED = "UPDATE usage_total SET folded = max(folded, ?) WHERE key_id = ? AND day = ? AND route = ?"
_FORGET = "DELETE FROM usage_total WHERE day < ? AND folded = requests"
# a key that is gone takes its counts along
_FOLD = """INSERT INTO access_apiusage (key_id, day, route, requests, errors) SELECT id, %s, %s, %s, %s FROM access_apikey WHERE id = %s
    ON CONFLICT (key_id, day, route) DO UPDATE
    SET requests = max(access_apiusage.requests, excluded.requests), errors = max(access_apiusage.errors, excluded.errors)"""


def count_use(key: ApiKey, request: HttpRequest, status_code: int) -> None:
    """Count a request that was answered with `status_code`. A failure to count is logged: it never costs an answer."""
    match = request.resolver_match
    route = f"{request.method} {route_pattern(match.route)}" if match else f"{request.method} unknown"
    day = timezone.now().date().isoformat()
    try:
        _count(key, day, route[:150], int(status_code >= 400))
    except (DatabaseError, sqlite3.Error, OSError):
        logger.warning("usage_not_counted", exc_info=True)


def note_use(key: ApiKey, address: str | None) -> None:
    """Note when and from where a key was used, once a minute. Neither waits nor fails: the next request tries again."""
    now = timezone.now()
    if key.last_used_at is not None and key.last_used_at > now - USED_EVERY:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - USED_EVERY)
    try:
        with _without_waiting():
            ApiKey.objects.filter(stale, id=key.id).update(last_used_at=now, last_used_address=address)
    except DatabaseError:
        logger.info("last_use_not_noted", exc_info=True)


def fold() -> None:
    """Bring the counts of SQLite's file into ApiUsage; a schedule calls it each minute. Elsewhere there is nothing to do."""
    if connection.vendor != "sqlite":
        return
    try:
        full = True
        while full:
            rows = _totals().run(_UNFOLDED, [_FOLD_ROWS])
            full = len(rows) == _FOLD_ROWS
            if rows:
                _fold(rows)
        # yesterday stays: a request may have begun before midnight
        _totals().run(_FORGET, [(timezone.now().date() - timedelta(days=1)).isoformat()])
    except (DatabaseError, sqlite3.Error, OSError):
        logger.warning("usage_not_folded", exc_info=True)


def fold_if_free() -> None:
    """Fold at once unless somebody is writing to the database: before counts are read."""
    with _without_waiting():
        fold()


@lru_cache(maxsize=1024)
def route_pattern(route: str) -> str:
    """Return Django's route as callers know it: the alias /api/ counts with the version it stands for."""
    return _ALIAS.sub("/api/v1/", "/" + _PARAMETER.sub(r"{\1}", route))


def _count(key: ApiKey, day: str, route: str, error: int) -> None:
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT, [key.id, day, route, error])
        return
    if _totals().run(_ADD, [error, key.id.hex, day, route]):
        return
    # the first of the day, or the file was lost: go on from what the database has (reading never waits)
    requests, errors = ApiUsage.objects.filter(key=key, day=day, route=route).values_list("requests", "errors").first() or (0, 0)
    _totals().run(_START, [key.id.hex, day, route, requests + 1, errors + error, error])


def _fold(rows: list[tuple[str, str, str, int, int]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_FOLD, [(day, route, requests, errors, key) for key, day, route, requests, errors in rows])
    for key, day, route, requests, _ in rows:
        _totals().run(_FOLDED, [requests, key, day, route])


def _totals() -> SideFile:
    return _file(str(settings.DATA_DIR / "usage.sqlite3"))


@lru_cache(maxsize=8)
def _file(path: str) -> SideFile:
    return SideFile(path, [_TOTALS], _FILE_TIMEOUT)


@contextmanager
def _without_waiting() -> Iterator[None]:
    """Have SQLite refuse at once, within the block, what would have to wait for another writer."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    # on the connection itself: a pragma is no statement of the request
    connection.connection.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        connection.connection.execute(f"PRAGMA busy_timeout = {int(connection.settings_dict['OPTIONS'].get('timeout', 5) * 1000)}")
