"""Requests that arrive too slowly, at a real gunicorn of four threads."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from core.intake import NoPlaceForSlow, SlowSender
from tests.core.portal import ROOT, wait_for
from webhooks.inbound import body

pytestmark = [pytest.mark.once, pytest.mark.processes]
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    server = ["-k", "core.supervisor.worker.PatientWorker", "--threads", "4", "--bind", f"127.0.0.1:{number}", "--log-level", "error"]
    process = subprocess.Popen([sys.executable, "-m", "gunicorn", *server, "tests.core.slow_app"], cwd=ROOT)
    try:
        wait_for(lambda: answers(number), "the server")
        yield number
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    try:
        with sender(port) as connection:
            connection.sendall(HEAD % 5 + b"hello")
            return said(connection) == "5"
    except OSError:
        return False


def sender(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def said(connection: socket.socket) -> str:
    """Return the answer's body, nothing where the connection was closed without one."""
    told = b""
    while piece := connection.recv(1000):
        told += piece
        text = told.decode().partition("\r\n\r\n")[2]
        if f"Content-Length: {len(text)}\r\n" in told.decode():
            return text
    return ""


def readable(connections: list[socket.socket]) -> list[Any]:
    """Return what there is to read; select() knows no descriptors over 1024, which a long run of tests may reach."""
    look = select.poll()
    for connection in connections:
        look.register(connection, select.POLLIN)
    return look.poll(0)


def trickled(connection: socket.socket, piece: bytes = b"x") -> str:
    """Send a piece every tenth of a second until there is an answer, and return it."""
    connection.settimeout(0.1)
    while True:
        try:
            return said(connection)
        except TimeoutError:
            connection.sendall(piece)


@pytest.mark.parametrize(("head", "piece"), [(HEAD % 50_000, b"x"), (CHUNKED, b"1\r\nx\r\n")], ids=["with a length", "in chunks"])
def test_a_body_that_trickles_is_cut_and_answered(port: int, head: bytes, piece: bytes) -> None:
    with sender(port) as connection:
        connection.sendall(head)
        assert trickled(connection, piece) == "SlowSender"
        # what still comes is not read as another request
        assert connection.recv(1000) == b""


@pytest.mark.parametrize("chunk", [b"ZZ\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX0\r\n\r\n"], ids=["size", "end"])
def test_a_chunk_that_is_none_is_a_body_that_broke_off(port: int, chunk: bytes) -> None:
    with sender(port) as connection:
        connection.sendall(CHUNKED + chunk)
        assert said(connection) == "broken"
        assert connection.recv(1000) == b""


def test_a_head_that_trickles_is_cut(port: int) -> None:
    with sender(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\n")
        assert trickled(connection, b"X: y\r\n") == ""


def test_slow_senders_never_hold_all_threads(port: int) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(sender(port)) for _ in range(8)]
        for connection in slow:
            connection.sendall(HEAD % 50_000 + b"x")
        assert answers(port)
        told = [said(connection) for connection in slow]
    # two of the four threads may wait; who finds none of them free is told at once
    assert set(told) == {"SlowSender", "NoPlaceForSlow"}
    assert told.count("SlowSender") >= 2


@pytest.mark.parametrize("begin", [b"", b"P", HEAD % 5 + b"h"], ids=["silence", "a head", "a small body"])
def test_what_is_on_its_way_holds_no_thread(port: int, begin: bytes) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(sender(port)) for _ in range(40)]
        for connection in slow:
            connection.sendall(begin)
        assert answers(port)
        # nobody had to be turned away for that, and what comes at last is answered
        assert not readable(slow)
        slow[0].sendall((HEAD % 5 + b"hello")[len(begin) :])
        assert said(slow[0]) == "5"


def test_a_second_request_is_waited_for_without_a_thread(port: int) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(sender(port)) for _ in range(8)]
        for connection in slow:
            connection.sendall(HEAD % 5 + b"hello" + b"POST / HTTP")
            assert said(connection) == "5"
        assert answers(port)
        assert not readable(slow)
        slow[0].sendall((HEAD % 2 + b"hi")[len(b"POST / HTTP") :])
        assert said(slow[0]) == "2"


def test_a_body_that_takes_its_time_is_taken_in(port: int) -> None:
    with sender(port) as connection:
        connection.sendall(HEAD % 10)
        for _ in range(5):
            time.sleep(0.12)
            connection.sendall(b"xx")
        assert said(connection) == "10"


@pytest.mark.parametrize(("error", "status"), [(SlowSender(), 400), (NoPlaceForSlow(), 503)])
def test_the_inbound_side_says_what_to_do(error: Exception, status: int) -> None:
    told: Any = body._broken(error)
    assert (told.status, bool(told.retry_after)) == (status, status == 503)
