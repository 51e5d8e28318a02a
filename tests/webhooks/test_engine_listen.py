from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection

from core import bus
from tests.webhooks.receivers import wait_for
from webhooks.engine import listen
from webhooks.engine.listen import Listener

pytestmark = pytest.mark.django_db(transaction=True)
needs_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL notifies")


@pytest.fixture
def wakes() -> list[int]:
    return []


@pytest.fixture
def listener(wakes: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(listen, "RECONNECT_SECONDS", 0.05)
    monkeypatch.setattr(listen, "LOOK_UP_SECONDS", 0.1)
    made = Listener(lambda: wakes.append(1))
    yield made
    made.stop()


def listening() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = current_database()")
        return int(cursor.fetchone()[0])  # type: ignore[index]


@pytest.mark.skipif(connection.vendor == "postgresql", reason="PostgreSQL does")
def test_a_database_that_cannot_notify_is_not_listened_to(listener: Listener) -> None:
    assert listener.start() is False
    assert "deliveries-listen" not in {thread.name for thread in threading.enumerate()}


@needs_postgresql
def test_it_wakes_after_each_publication(listener: Listener, wakes: list[int]) -> None:
    assert listener.start() is True
    wait_for(listening)
    bus.wake()
    wait_for(lambda: len(wakes) == 1)
    bus.wake()
    wait_for(lambda: len(wakes) == 2)


@needs_postgresql
def test_it_listens_again_after_its_connection_was_cut(listener: Listener, wakes: list[int], caplog: pytest.LogCaptureFixture) -> None:
    listener.start()
    wait_for(listening)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()")
    wait_for(lambda: "listen_interrupted" in caplog.text)
    wait_for(listening)
    bus.wake()
    wait_for(lambda: wakes)


@needs_postgresql
def test_it_goes_on_trying_while_the_database_is_away(listener: Listener, wakes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = psycopg.connect, []

    def connect(**parameters: object) -> object:
        calls.append(1)
        if len(calls) < 4:
            raise psycopg.OperationalError("away")
        return real(**parameters)

    monkeypatch.setattr(listen.psycopg, "connect", connect)
    listener.start()
    wait_for(listening)
    bus.wake()
    wait_for(lambda: wakes)


@needs_postgresql
def test_it_stops_at_once(listener: Listener) -> None:
    listener.start()
    wait_for(listening)
    listener.stop()
    assert not listener._thread.is_alive()
    wait_for(lambda: not listening())


def test_stopping_what_never_started_is_fine() -> None:
    begun = time.monotonic()
    Listener(lambda: None).stop()
    assert time.monotonic() - begun < 5
