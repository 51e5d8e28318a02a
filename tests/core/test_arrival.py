"""What is seen of a request before a thread reads it."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from core.supervisor.arrival import MOST, Arrival

pytestmark = pytest.mark.once
Pair = tuple[socket.socket, socket.socket]
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n%s\r\n"


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    theirs.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with ours, theirs:
        yield ours, theirs


def enough(arrival: Arrival, connection: socket.socket) -> bool:
    """Say whether the loop would hand the connection to a thread now."""
    look = select.poll()
    look.register(connection, select.POLLIN)
    return bool(look.poll(0)) and arrival.is_enough()


@pytest.mark.parametrize(
    "pieces",
    [
        [b"G", b"ET / HTTP/1.1\r\n", b"Host: localhost\r\n\r\n"],
        [HEAD % b"content-length: 5\r\n", b"hel", b"lo"],
        [HEAD % b"Transfer-Encoding: chunked\r\n", b"2\r\nhi\r\n", b"0\r\n\r\n"],
    ],
    ids=["head", "length", "chunks"],
)
def test_a_request_is_enough_with_its_last_byte(pair: Pair, pieces: list[bytes]) -> None:
    ours, theirs = pair
    arrival = Arrival(ours)
    said = [arrival.is_enough()]
    for piece in pieces:
        theirs.sendall(piece)
        said.append(enough(arrival, ours))
    assert said == [False] * len(pieces) + [True]
    assert ours.recv(1000) == b"".join(pieces)


def test_a_large_one_is_enough_with_its_first_part(pair: Pair) -> None:
    head = HEAD % b"Content-Length: 10000000\r\n"
    pair[1].sendall(head)
    arrival = Arrival(pair[0])
    assert (arrival.is_enough(), arrival.has_head) == (False, True)
    pair[1].sendall(b"x" * (MOST - len(head)))
    assert arrival.is_enough()


def test_one_that_ends_early_is_enough(pair: Pair) -> None:
    pair[1].sendall(b"POST / HT")
    arrival = Arrival(pair[0])
    assert not arrival.is_enough()
    pair[1].close()
    assert arrival.is_enough()


def test_who_waits_for_a_word_before_the_body_is_told_once(pair: Pair) -> None:
    pair[1].sendall(HEAD % b"Content-Length: 5\r\nExpect: 100-continue\r\n")
    arrival = Arrival(pair[0])
    assert not arrival.is_enough()
    pair[1].sendall(b"he")
    assert not enough(arrival, pair[0])
    assert pair[1].recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    pair[1].sendall(b"llo")
    assert arrival.is_enough()


def test_what_was_read_with_the_request_before_counts(pair: Pair) -> None:
    whole = HEAD % b"Content-Length: 5\r\n" + b"hello"
    arrival = Arrival(pair[0], whole[:30])
    assert not arrival.is_enough()
    pair[1].sendall(whole[30:])
    assert arrival.is_enough()
    assert Arrival(pair[0], whole).is_enough()
