"""The rate limit of a key."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import caches
from django.db import connections
from django.test import Client
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.access.keys import client_of, make_key

PATH = "/api/v1/api-keys"


@pytest.fixture(autouse=True)
def _away_from_the_end_of_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep all requests of a test within one window."""
    now = time.time()
    monkeypatch.setattr("django_ratelimit.core.time.time", lambda: now)


@pytest.mark.django_db
class TestOneAtATime:
    def test_a_key_gets_a_hundred_requests_a_minute(self) -> None:
        client = client_of(None)
        answers = [client.get(PATH) for _ in range(102)]
        assert [answer.status_code for answer in answers] == [200] * 100 + [429] * 2
        assert [answer["X-RateLimit-Limit"] for answer in answers] == ["100"] * 102
        assert [int(answer["X-RateLimit-Remaining"]) for answer in answers] == [*range(99, -1, -1), 0, 0]
        last = answers[-1]
        assert 1 <= int(last["Retry-After"]) <= 60
        assert abs(int(last["X-RateLimit-Reset"]) - time.time() - int(last["Retry-After"])) <= 5
        assert last.json()["code"] == "rate_limited"

    def test_the_default_is_a_setting(self, settings: Settings) -> None:
        settings.API_KEY_RATE = 2
        client = client_of(None)
        assert [client.get(PATH).status_code for _ in range(3)] == [200, 200, 429]

    def test_a_key_may_have_its_own_rate_or_none(self) -> None:
        slow, free = client_of(None, rate_per_minute=1), client_of(None, unlimited=True)
        assert [slow.get(PATH).status_code for _ in range(2)] == [200, 429]
        answers = [free.get(PATH) for _ in range(120)]
        assert {answer.status_code for answer in answers} == {200}
        assert "X-RateLimit-Limit" not in answers[0]

    def test_keys_do_not_share_their_rate(self) -> None:
        one, two = client_of(None, rate_per_minute=1), client_of(None, rate_per_minute=1)
        assert one.get(PATH).status_code == two.get(PATH).status_code == 200

    def test_every_kind_of_answer_counts_and_tells_the_rate(self) -> None:
        client = client_of(None, "webhooks:read", rate_per_minute=5)
        refused = client.get(PATH)
        missing = client.get("/api/v1/audit-log/x")
        wrong = client.delete(PATH)
        assert (refused.status_code, missing.status_code, wrong.status_code) == (403, 403, 405)
        assert [answer["X-RateLimit-Remaining"] for answer in (refused, missing, wrong)] == ["4", "3", "2"]

    def test_sessions_are_not_limited(self, browser: Client, settings: Settings) -> None:
        settings.API_KEY_RATE = 1
        assert [browser.get(PATH).status_code for _ in range(3)] == [200] * 3


@pytest.mark.django_db(transaction=True)
def test_the_limit_is_exact_when_many_ask_at_once() -> None:
    _, text = make_key(None, rate_per_minute=20)
    codes: list[int] = []

    def ask() -> None:
        try:
            client = Client()
            codes.extend(client.get(PATH, HTTP_AUTHORIZATION=f"Bearer {text}").status_code for _ in range(6))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (codes.count(200), codes.count(429)) == (20, 28)


@pytest.mark.django_db
def test_a_rate_belongs_to_the_key_whoever_its_owner(alice: User) -> None:
    one, two = client_of(alice, rate_per_minute=1), client_of(alice, rate_per_minute=1)
    assert [one.get(PATH).status_code, one.get(PATH).status_code, two.get(PATH).status_code] == [200, 429, 200]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error", [RedisConnectionError("10.9.8.7 refused"), sqlite3.OperationalError("database is locked"), PermissionError()]
)
def test_counters_that_are_away_are_a_503_that_says_when_to_come_back(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def away(*args: Any, **kwargs: Any) -> None:
        raise error

    client = client_of(None)
    monkeypatch.setattr(type(caches["counters"]), "add", away)
    for answer in (client.get(PATH), Client().get(PATH, HTTP_AUTHORIZATION="Bearer rg_live_wrong")):
        assert (answer.status_code, answer["Retry-After"]) == (503, "5")
        assert answer.json()["code"] == "unavailable"
        assert answer.json()["message"] == "Requests can't be counted at present; try again shortly."


@pytest.mark.django_db
def test_a_redis_that_is_away_is_a_503(settings: Settings) -> None:
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9/0"}
    settings.CACHES = settings.CACHES | {"counters": redis}
    answer = client_of(None).get(PATH)
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
