"""How often keys are used."""

from __future__ import annotations

import sqlite3
import threading
import time
from datetime import date
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, connections
from django.test import Client

from access import usage
from access.models import ApiUsage
from core.sidefile import SideFile
from tests.access.keys import client_of, client_with, make_key

pytestmark = pytest.mark.postgres
PATH = "/api/v1/api-keys"
sqlite_only = pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has no single writer, and no file beside it")


def counts(key_id: object) -> dict[str, tuple[int, int]]:
    usage.fold()
    return {row.route: (row.requests, row.errors) for row in ApiUsage.objects.filter(key_id=key_id)}


@pytest.mark.django_db
class TestOneAtATime:
    def test_requests_and_errors_are_counted_by_route(self) -> None:
        key, text = make_key()
        client = client_with(text)
        client.get(PATH)
        client.get(f"{PATH}/")
        client.get("/api/api-keys?colour=red")
        client.get(f"{PATH}/{key.id}")
        client.get(f"{PATH}/none")
        client.post(PATH, {"name": ""}, format="json")
        assert counts(key.id) == {
            "GET /api/v1/api-keys": (3, 1),
            "GET /api/v1/api-keys/{id}": (2, 1),
            "POST /api/v1/api-keys": (1, 1),
        }

    def test_it_is_answered_per_day_newest_first(self) -> None:
        key, _ = make_key()
        ApiUsage.objects.create(key=key, day=date(2026, 1, 1), route="GET /a", requests=3, errors=1)
        ApiUsage.objects.create(key=key, day=date(2026, 1, 2), route="GET /a", requests=4)
        client = client_of(None)
        rows = client.get(f"{PATH}/{key.id}/usage").json()["results"]
        assert [(row["day"], row["requests"], row["errors"]) for row in rows] == [("2026-01-02", 4, 0), ("2026-01-01", 3, 1)]
        rows = client.get(f"{PATH}/{key.id}/usage?until=2026-01-01&since=2025-12-31").json()["results"]
        assert [row["day"] for row in rows] == ["2026-01-01"]
        first = client.get(f"{PATH}/{key.id}/usage?page_size=1").json()
        assert [row["day"] for row in client.get(first["next"]).json()["results"]] == ["2026-01-01"]
        assert client.get(f"{PATH}/{key.id}/usage?since=soon").status_code == 400

    def test_a_strangers_use_is_not_shown(self, alice: User, charlie: User) -> None:
        key, _ = make_key(alice)
        assert client_of(charlie).get(f"{PATH}/{key.id}/usage").status_code == 404

    def test_anonymous_requests_and_sessions_are_not_counted(self, browser: Client) -> None:
        browser.get(PATH)
        Client().get(PATH)
        usage.fold()
        assert not ApiUsage.objects.exists()

    def test_a_failure_to_count_costs_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*args: Any) -> None:
            raise DatabaseError("disk full")

        _, text = make_key(unlimited=True)
        monkeypatch.setattr(usage, "_count", broken)
        assert client_with(text).get(PATH).status_code == 200

    def test_folding_twice_counts_once(self) -> None:
        key, text = make_key()
        client_with(text).get(PATH)
        assert counts(key.id) == counts(key.id) == {"GET /api/v1/api-keys": (1, 0)}
        client_with(text).get(PATH)
        assert counts(key.id) == {"GET /api/v1/api-keys": (2, 0)}

    def test_whoever_reads_the_counts_sees_the_latest(self) -> None:
        key, text = make_key()
        client_with(text).get(PATH)
        rows = client_of(None).get(f"{PATH}/{key.id}/usage").json()["results"]
        assert [(row["route"], row["requests"]) for row in rows] == [("GET /api/v1/api-keys", 1)]


@sqlite_only
@pytest.mark.django_db
class TestTheFileBesideTheDatabase:
    def test_a_lost_file_goes_on_from_what_was_folded(self) -> None:
        key, text = make_key()
        client_with(text).get(PATH)
        usage.fold()
        usage._totals().run("DELETE FROM usage_total")
        client_with(text).get(PATH)
        assert counts(key.id) == {"GET /api/v1/api-keys": (2, 0)}

    def test_folded_days_that_are_over_leave_it(self) -> None:
        key, text = make_key()
        client_with(text).get(PATH)
        usage._totals().run("UPDATE usage_total SET day = '2026-01-01'")
        assert counts(key.id) == {"GET /api/v1/api-keys": (1, 0)}
        assert usage._totals().run("SELECT * FROM usage_total") == []

    def test_a_key_that_is_gone_takes_its_counts_along(self) -> None:
        key, text = make_key()
        client_with(text).get(PATH)
        identity = key.id
        key.delete()
        assert counts(identity) == {}

    def test_a_file_that_cant_be_written_costs_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _, text = make_key()
        monkeypatch.setattr(usage, "_totals", lambda: SideFile("/dev/null/usage.sqlite3", [], 0))
        assert client_with(text).get(PATH).status_code == 200


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_a_long_write_to_the_database_holds_up_no_request_of_a_key() -> None:
    key, text = make_key()
    writer = sqlite3.connect(str(connection.settings_dict["NAME"]), isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert client_with(text).get(PATH).status_code == 200
        assert client_with(text).get(f"{PATH}/{key.id}/usage").status_code == 200
        # the lock is held still; one wait for it would take 20 seconds at least
        assert time.monotonic() - started < 19
        assert not ApiUsage.objects.exists()
        writer.execute("ROLLBACK")
    finally:
        writer.close()
    assert counts(key.id) == {"GET /api/v1/api-keys": (1, 0), "GET /api/v1/api-keys/{id}/usage": (1, 0)}
    client_with(text).get(PATH)
    key.refresh_from_db()
    assert key.last_used_at is not None


@sqlite_only
@pytest.mark.django_db(transaction=True)
def test_after_it_others_are_waited_for_again() -> None:
    with usage._without_waiting():
        assert connection.connection.execute("PRAGMA busy_timeout").fetchone() == (0,)
    assert connection.connection.execute("PRAGMA busy_timeout").fetchone() == (20_000,)


@pytest.mark.django_db(transaction=True)
def test_no_use_is_lost_when_many_count_at_once() -> None:
    key, text = make_key(unlimited=True)

    def ask() -> None:
        try:
            for number in range(10):
                Client().get(PATH if number % 2 else f"{PATH}?colour=red", HTTP_AUTHORIZATION=f"Bearer {text}")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts(key.id) == {"GET /api/v1/api-keys": (60, 30)}


@pytest.mark.parametrize(
    ("route", "shown"),
    [
        ("api/v1/webhooks/<str:id>/stats", "/api/v1/webhooks/{id}/stats"),
        ("api/webhooks", "/api/v1/webhooks"),
        ("api/v2/webhooks", "/api/v2/webhooks"),
    ],
)
def test_routes_are_shown_as_callers_know_them(route: str, shown: str) -> None:
    assert usage.route_pattern(route) == shown
