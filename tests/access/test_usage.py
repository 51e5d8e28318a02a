"""How often keys are used."""

from __future__ import annotations

import threading
from datetime import date

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connections
from django.test import Client

from access import usage
from access.models import ApiUsage
from tests.access.keys import client_of, client_with, make_key

PATH = "/api/v1/api-keys"


def counts(key_id: object) -> dict[str, tuple[int, int]]:
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
        assert not ApiUsage.objects.exists()

    def test_a_failure_to_count_costs_no_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Broken:
            vendor = "sqlite"

            def cursor(self) -> None:
                raise DatabaseError("disk full")

        key, text = make_key(unlimited=True)
        monkeypatch.setattr(usage, "connection", Broken())
        monkeypatch.setattr(type(ApiUsage._meta.get_field("key")), "get_db_prep_value", lambda *args, **kwargs: key.id)
        assert client_with(text).get(PATH).status_code == 200


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
