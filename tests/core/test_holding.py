"""Requests that wait for something: how many, on what, and what ends it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import RequestFactory

from core import holding
from core.errors import Unavailable
from core.models import Event
from core.places import Places

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.django_db(transaction=True)
def test_a_quarter_is_held_and_nobody_has_a_connection_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    decided, open_connections = threading.Event(), []
    monkeypatch.setattr(holding, "places", Places(2))
    monkeypatch.setattr(holding.time, "sleep", lambda seconds: (open_connections.append(connection.connection), decided.wait(0.01)))
    asked, turned_away, answered = Counter[str](), [], []

    def ask() -> int:
        count = Event.objects.count()
        asked[threading.current_thread().name] += 1
        if not decided.is_set():
            raise Unavailable("not yet")
        return count

    def request() -> None:
        try:
            answered.append(holding.until(RequestFactory().get("/"), 20, ask))
        except Unavailable:
            turned_away.append(asked[threading.current_thread().name])
            if len(turned_away) == 3:
                decided.set()
        finally:
            connection.close()

    threads = [threading.Thread(target=request) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(answered), turned_away) == (2, [1, 1, 1])  # these asked once, and did not wait
    assert open_connections
    assert set(open_connections) == {None}
    assert holding.places.free == 2


@pytest.mark.once
def test_it_asks_once_more_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = [0.0], []
    monkeypatch.setattr(holding, "places", Places(4))
    monkeypatch.setattr(holding.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(holding.time, "sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))

    def ask() -> None:
        asked.append(clock[0])
        raise Unavailable("not yet")

    with pytest.raises(Unavailable):
        holding.until(RequestFactory().get("/"), 10, ask)
    assert (asked[0], asked[-1]) == (0.0, 10.0)
    assert 6 <= len(asked) <= 14
    with pytest.raises(Unavailable):
        holding.until(RequestFactory().get("/"), 0, ask)


@pytest.mark.once
def test_all_kinds_together_leave_a_thread_for_everybody_else() -> None:
    kinds = [Places(2), Places(2), Places(4, at_least=0)]
    assert [kind.take() for kind in kinds for _ in range(kind.most + 1)] == [True, True, False, True, False, False, False, False]
    kinds[0].give_back()
    assert (kinds[2].take(), kinds[0].take(), kinds[1].take()) == (True, False, False)
    for kind in kinds[1], kinds[2], kinds[0]:
        kind.give_back()
    assert [kind.free for kind in kinds] == [2, 2, 1]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        os.set_inheritable(listener.fileno(), True)
        options = ["--bind", f"fd://{listener.fileno()}", "--threads", "4", "--graceful-timeout", "30", "--no-control-socket"]
        command = [sys.executable, "-m", "gunicorn", *options, "-k", "core.supervisor.worker.PatientWorker", "tests.core.held_app"]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            pass_fds=[listener.fileno()],
            env=os.environ | {"WEB_THREADS": "4", "DJANGO_SETTINGS_MODULE": "tests.settings"},
        )
    yield process, port
    process.kill()
    process.wait(10)


def ask(port: int, path: str) -> http.client.HTTPConnection:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=50)
    client.request("GET", path)
    return client


def places(port: int) -> bytes:
    return ask(port, "/?places").getresponse().read()


@pytest.mark.once
@pytest.mark.processes
def test_who_leaves_frees_the_place_and_an_end_of_the_process_everybody(server: tuple[subprocess.Popen[bytes], int]) -> None:
    process, port = server
    assert places(port) == b"1"  # of four threads
    leaves = ask(port, "/")
    while places(port) == b"1":
        time.sleep(0.02)
    assert ask(port, "/").getresponse().read() == b"not yet"  # at once
    leaves.close()
    while places(port) == b"0":
        time.sleep(0.02)
    stays = ask(port, "/")
    while places(port) == b"1":
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert stays.getresponse().read() == b"not yet"
    assert process.wait(25) == 0  # below the 30 s that it may take, and the 60 s for which it was held
