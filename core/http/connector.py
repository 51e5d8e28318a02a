"""The pooled connections of the delivery client: every socket passes the guard, every phase is timed.

aiohttp does not ask its resolver about literal addresses, so the check sits where each socket is made, on the address it will
connect to. What belongs to one request travels in a context variable, since connecting spreads over tasks and callbacks.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any

import aiohttp  # noqa: TID251 - this is the door
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult  # noqa: TID251
from aiohttp.client_proto import ResponseHandler  # noqa: TID251

from core.errors import AddressRefused
from core.http.addresses import check_address

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientTimeout  # noqa: TID251
    from aiohttp.client_reqrep import ConnectionKey  # noqa: TID251
    from aiohttp.connector import Connection  # noqa: TID251
    from aiohttp.tracing import Trace  # noqa: TID251

DNS_CACHE_SECONDS = 20
DNS_THREADS = 64


class Marks:
    """Moments (monotonic seconds) and facts of one request; None where a phase was not reached."""

    __slots__ = (
        "address",
        "connect_start",
        "dns_end",
        "dns_start",
        "first_byte",
        "fresh",
        "literal",
        "opening",
        "plain",
        "ready",
        "refused",
        "reused",
        "tcp",
    )

    def __init__(self, *, plain: bool, literal: bool) -> None:
        self.plain = plain
        self.literal = literal
        self.fresh = False
        self._clear()

    def renew(self) -> None:
        """Forget the phases, and ask for a new connection."""
        self.fresh = True
        self._clear()

    def _clear(self) -> None:
        self.opening = False
        self.reused = False
        self.address = ""
        self.refused: AddressRefused | None = None
        self.dns_start: float | None = None
        self.dns_end: float | None = None
        self.connect_start: float | None = None
        self.tcp: float | None = None
        self.ready: float | None = None
        self.first_byte: float | None = None


MARKS: ContextVar[Marks] = ContextVar("marks")


class RefusedError(OSError):
    """Carries a refusal through the connecting code, which goes on to the next address only after an OSError."""


class GuardedHandler(ResponseHandler):
    """A connection that knows whom it is connected to and notes when an answer begins."""

    marks: Marks | None = None
    address = ""
    busy = False

    def data_received(self, data: bytes) -> None:
        """Note the first byte, then parse as usual."""
        if not self.busy:
            # Nobody asked: some proxies say 408 before they close an idle connection. It must not answer the next request.
            self.close()
            return
        marks = self.marks
        if marks is not None:
            marks.first_byte = monotonic()
            self.marks = None
        super().data_received(data)


class Resolver(AbstractResolver):
    """Looks names up in threads of its own, so that slow name servers of some hosts don't hold up the others."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="dns")

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """Return the addresses of `host`; raises OSError."""
        loop = asyncio.get_running_loop()
        infos = await loop.run_in_executor(self._threads, self.look_up, host, port, family)
        return [ResolveResult(hostname=host, host=ip, port=port, family=found, proto=0, flags=socket.AI_NUMERICHOST) for found, ip in infos]

    def look_up(self, host: str, port: int, family: int) -> list[tuple[int, str]]:
        """Ask the system (blocking)."""
        infos = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
        return [(info[0], str(info[4][0])) for info in infos]

    async def close(self) -> None:
        """Let the threads go; a lookup under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class GuardedConnector(aiohttp.TCPConnector):
    """Refuses forbidden addresses at the socket, and notes the phases in the request's Marks."""

    def __init__(
        self, *, limit: int, limit_per_host: int, keepalive_seconds: float, context: ssl.SSLContext, resolver: AbstractResolver
    ) -> None:
        super().__init__(
            limit=limit,
            limit_per_host=limit_per_host,
            keepalive_timeout=keepalive_seconds,
            ssl=context,
            resolver=resolver,
            ttl_dns_cache=DNS_CACHE_SECONDS,
            socket_factory=guarded_socket,
        )
        self._factory = self._new_handler  # type: ignore[assignment] # called once TCP is up, before TLS begins

    def _new_handler(self) -> GuardedHandler:
        MARKS.get().tcp = monotonic()
        return GuardedHandler(self._loop)

    async def take(self, req: ClientRequest, key: ConnectionKey, timeout: ClientTimeout, marks: Marks) -> Connection:
        """Take a connection from the pool, or open one."""
        connection = None if marks.fresh else await self._get(key, [])
        if connection is None:
            connection = await self.connect(req, [], timeout)
        handler = connection.protocol
        assert isinstance(handler, GuardedHandler)  # noqa: S101 - the only kind this connector makes
        marks.reused = marks.tcp is None
        if not handler.address and handler.transport is not None:
            peer = handler.transport.get_extra_info("peername")
            handler.address = peer[0] if peer else ""
        marks.address = handler.address
        marks.ready = monotonic()
        handler.marks = marks
        handler.busy = True
        return connection

    def give_back(self, connection: Connection, *, reusable: bool) -> None:
        """Return a connection to the pool, or close it."""
        if not reusable:
            connection.close()
            return
        if isinstance(connection.protocol, GuardedHandler):
            connection.protocol.busy = False
        connection.release()

    async def _create_connection(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> ResponseHandler:
        MARKS.get().opening = True
        return await super()._create_connection(req, traces, timeout)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        return None if MARKS.get().fresh else await super()._get(key, traces)

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> list[ResolveResult]:
        marks = MARKS.get()
        if marks.literal:
            return await super()._resolve_host(host, port, traces)
        marks.dns_start = monotonic()
        found = await super()._resolve_host(host, port, traces)
        marks.dns_end = monotonic()
        return found


def guarded_socket(info: tuple[Any, ...]) -> socket.socket:
    """Return a socket for an address that the guard allows. Raises RefusedError before any socket exists."""
    marks = MARKS.get()
    family, kind, protocol, _, address = info
    try:
        check_address(str(address[0]), plain=marks.plain)
    except AddressRefused as refused:
        marks.refused = refused
        raise RefusedError(refused.message) from None
    if marks.connect_start is None:
        marks.connect_start = monotonic()
    return socket.socket(family, kind, protocol)


def tls_context() -> ssl.SSLContext:
    """Return the context of HTTP."""
    context = verifying_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def verifying_context() -> ssl.SSLContext:
    """Return a verifying context that trusts the system's authorities (so a company's own too) and certifi's."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves it to the system's openssl.cnf, which may allow less
    context.load_verify_locations(certifi.where())
    return context
