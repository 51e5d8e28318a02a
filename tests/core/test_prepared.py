"""Statements that PostgreSQL plans once: for a while, not for ever."""

from __future__ import annotations

import pytest
from django.db import connection

from core import prepared

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite plans nothing ahead")]
_COUNT = "SELECT %s::int + 40"


def planned() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%::int + 40%'")
        return int(cursor.fetchone()[0])


def test_a_statement_is_planned_once_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("core.prepared.time.monotonic", lambda: now)
    connection.ensure_connection()
    for _ in range(3):
        assert prepared.execute_replanned(_COUNT, [2]).fetchall() == [(42,)]
    assert planned() == 1
    now += prepared.PLAN_SECONDS
    assert prepared.execute_replanned(_COUNT, [2]).fetchall() == [(42,)]
    assert planned() == 2
