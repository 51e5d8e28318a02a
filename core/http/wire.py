"""The sockets of connectors' calls: urllib3's connections, guarded and with one deadline from connect to the last byte.

What belongs to one call travels in the context variable that the guard reads (core/http/connector.py), as everything between
`send` and the socket is urllib3's.
"""

from __future__ import annotations

import io
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException, HTTPMessage, HTTPResponse, IncompleteRead  # noqa: TID251 - this is the door
from time import monotonic
from typing import Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from core.errors import AddressRefused
from core.http import connector
from core.http.addresses import check_address
from core.http.connector import MARKS, Marks, RefusedError

KEEPALIVE_SECONDS = 10.0
MAX_HEAD_BYTES = 131_072
DNS_THREADS = 16
SENT_AT_ONCE = 16_384  # one TLS record: each has its share of the deadline


class HeadTooLargeError(HTTPException):
    """Status line and headers are more than is read."""


class Wire(Marks):
    """One exchange as its connection sees it: phases, deadline (monotonic seconds), and the first error as it was raised."""

    __slots__ = ("cause", "connect_timeout", "deadline")

    def __init__(self, *, plain: bool, literal: bool, connect_timeout: float, timeout: float) -> None:
        super().__init__(plain=plain, literal=literal)
        self.connect_timeout = connect_timeout
        self.deadline = monotonic() + timeout
        self.cause: BaseException | None = None

    def renew(self) -> None:
        """Forget the phases and the error, and ask for a new connection."""
        super().renew()
        self.cause = None

    def remaining(self) -> float:
        """Return the seconds that are left. Raises TimeoutError when none are."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def failed(self, error: BaseException) -> None:
        """Keep the first error: what urllib3 makes of it says less."""
        self.cause = self.cause or error


def _wire() -> Wire:
    return cast("Wire", MARKS.get())


class _Threads:
    """The threads that look names up; a forked process has its own."""

    pool: ThreadPoolExecutor | None = None
    pid = 0

    @classmethod
    def get(cls) -> ThreadPoolExecutor:
        if cls.pool is None or cls.pid != os.getpid():
            cls.pool, cls.pid = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="door-dns"), os.getpid()
        return cls.pool


def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    """Ask the system for the addresses of a name (blocking). Raises OSError."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


def dial(host: str, port: int, wire: Wire) -> socket.socket:
    """Connect to the first address of `host` that the guard allows and that accepts. Raises OSError; see `wire.refused`."""
    wire.opening = True
    until = min(wire.deadline, monotonic() + wire.connect_timeout)
    places = _places(host.strip("[]"), port, wire, until)
    failure: OSError | None = None
    for number, info in enumerate(places):
        try:
            sock = connector.guarded_socket(info)
        except RefusedError as error:
            failure = failure or error
            continue
        try:
            sock.settimeout(max(0.001, (until - monotonic()) / (len(places) - number)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(info[4])
            sock.settimeout(max(0.001, until - monotonic()))  # the TLS handshake is part of connecting
        except OSError as error:
            sock.close()
            failure = error
            continue
        wire.tcp, wire.address = monotonic(), str(info[4][0])
        return sock
    if not isinstance(failure, RefusedError):
        wire.refused = None  # an allowed address was tried: what it said is what counts
    raise failure or OSError("the name has no address")


def _places(host: str, port: int, wire: Wire, until: float) -> list[tuple[Any, ...]]:
    if wire.literal:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    wire.dns_start = monotonic()
    found = _Threads.get().submit(look_up, host, port).result(max(0.001, until - monotonic()))
    wire.dns_end = monotonic()
    return found


class _DeadlineIO(socket.SocketIO):
    """Reads from a socket until the exchange's deadline, however slowly the bytes come."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        super().__init__(sock, "r")
        self.wire = wire
        self.head_left: int | None = MAX_HEAD_BYTES

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is; raises OSError, TimeoutError at the deadline."""
        try:
            self._sock.settimeout(self.wire.remaining())  # type: ignore[attr-defined]
            count = super().readinto(buffer)
        except OSError as error:
            self.wire.failed(error)
            raise
        if count and self.wire.first_byte is None:
            self.wire.first_byte = monotonic()
        if self.head_left is not None:
            if not count and self.head_left < MAX_HEAD_BYTES:  # http.client takes a head that was cut off for a whole one
                raise IncompleteRead(b"")
            self.head_left -= count or 0
            if self.head_left < 0:
                raise HeadTooLargeError("more than the headers may take")
        return count


class _Source:
    """Stands for the socket where http.client opens its file, and opens one with a deadline."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self._sock = sock
        self.io = _DeadlineIO(sock, wire)

    def makefile(self, *args: Any, **options: Any) -> io.BufferedReader:
        self._sock._io_refs += 1  # type: ignore[attr-defined] # as socket.makefile counts, so that closing waits for the file
        return io.BufferedReader(self.io)


def reader(sock: socket.socket, wire: Wire) -> io.BufferedReader:
    """Return a file that reads from a socket until the deadline, for protocols other than HTTP."""
    source = _Source(sock, wire)
    source.io.head_left = None
    return source.makefile()


class _Response(HTTPResponse):
    """An answer whose head is bounded, and which follows the informational ones (103)."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        self._source = _Source(sock, _wire())
        super().__init__(cast("socket.socket", self._source), *args, **options)

    def begin(self) -> None:
        """Read status line and headers."""
        super().begin()
        while 100 < self.status < 200 and self.status != 101:
            self.headers = self.msg = cast("HTTPMessage", None)
            super().begin()
        self._source.io.head_left = None


class _Guarded:
    """What plain and TLS connections share."""

    address = ""
    idle_since = 0.0
    sock: Any
    response_class: Any = _Response

    def _new_conn(self) -> socket.socket:
        """Connect; urllib3 asks for the socket here."""
        wire = _wire()
        try:
            sock = dial(self._dns_host, self.port, wire)  # type: ignore[attr-defined]
        except (OSError, UnicodeError) as error:
            wire.failed(error)
            raise
        self.address = wire.address
        return sock

    def connect(self) -> None:
        """Connect, with TLS where it belongs, and keep what went wrong."""
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            _wire().failed(error)
            raise

    def send(self, data: Any) -> None:
        """Send in pieces, none of which goes beyond the deadline."""
        wire = _wire()
        if self.sock is None:
            self.connect()
        wire.ready = wire.ready or monotonic()
        try:
            for start in range(0, len(data), SENT_AT_ONCE):
                self.sock.settimeout(wire.remaining())
                self.sock.sendall(data[start : start + SENT_AT_ONCE])
        except OSError as error:
            wire.failed(error)
            raise

    def getresponse(self) -> Any:
        """Read the head of the answer."""
        try:
            return super().getresponse()  # type: ignore[misc]
        except (HTTPException, OSError) as error:
            _wire().failed(error)
            raise


class PlainConnection(_Guarded, HTTPConnection):
    """Only for hosts inside EGRESS_ALLOW_CIDRS: the guard sees to it."""


class TlsConnection(_Guarded, HTTPSConnection):
    """The certificate is checked for the name that was asked for, whatever address it led to."""


class _GuardedPool:
    """Gives out a kept connection only while it is young, and its address is still allowed."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection = super()._get_conn(timeout)  # type: ignore[misc]
        wire = _wire()
        if connection.sock is not None and (wire.fresh or not _is_usable(connection, wire)):
            connection.close()
        wire.reused = connection.sock is not None
        if wire.reused:
            wire.address = connection.address
        return connection

    def _put_conn(self, connection: Any) -> None:
        if connection is not None:
            connection.idle_since = monotonic()
        super()._put_conn(connection)  # type: ignore[misc]


def _is_usable(connection: _Guarded, wire: Wire) -> bool:
    if monotonic() - connection.idle_since > KEEPALIVE_SECONDS:
        return False
    try:
        check_address(connection.address, plain=wire.plain)
    except AddressRefused:
        return False
    return True


class PlainPool(_GuardedPool, HTTPConnectionPool):
    """Kept plain connections to one host."""

    ConnectionCls = PlainConnection


class TlsPool(_GuardedPool, HTTPSConnectionPool):
    """Kept TLS connections to one host."""

    ConnectionCls = TlsConnection
