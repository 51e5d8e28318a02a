"""The delivery client: POSTs over pooled keep-alive connections, guarded, bounded in time and size. One per event loop."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import ssl
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING

import aiohttp  # noqa: TID251 - this is the door
from aiohttp.abc import AbstractResolver  # noqa: TID251
from aiohttp.http_exceptions import BadStatusLine  # noqa: TID251
from yarl import URL

from core import redact
from core.errors import AddressRefused, InvalidInput
from core.http.connector import MARKS, GuardedConnector, Marks, Resolver, tls_context
from core.http.deadlines import Deadlines
from core.http.failures import classify
from core.http.guard import check_url
from core.http.messages import Answer, Failure, OutboundRequest, Timings, UnsendableError

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler  # noqa: TID251
    from aiohttp.http import RawResponseMessage  # noqa: TID251
    from aiohttp.streams import StreamReader  # noqa: TID251

__all__ = ["Answer", "Failure", "OutboundRequest", "Sender", "Timings"]

logger = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 15.0
MAX_HEADERS = 100
MAX_HEADER_BYTES = 8190
KEPT_HEADERS = 50
KEPT_HEADER_CHARS = 1000
DISCARD_BYTES = 65_536  # read past the cap, so that the connection can be kept
MAX_TARGETS = 10_000
READ_BYTES = 65_536
# Framing and hop-by-hop headers are the client's own, whatever the request carries
_OWN_HEADERS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class _Target:
    """A checked URL with all that its requests have in common."""

    __slots__ = ("head", "host", "key", "literal", "plain", "port", "request")

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop) -> None:
        checked = check_url(url)
        parsed = URL(checked.url, encoded=True)
        self.host, self.port = checked.host, checked.port
        self.plain, self.literal = checked.scheme == "http", checked.address is not None
        # names the place to connect to; the bytes of the request are written below
        self.request = aiohttp.ClientRequest("POST", parsed, loop=loop)
        self.key = self.request.connection_key
        self.head = f" {parsed.raw_path_qs} HTTP/1.1\r\nHost: {parsed.host_port_subcomponent}\r\nAccept-Encoding: identity\r\n"


class Sender:
    """Sends requests, at most `limit` at once (0: unlimited) and `limit_per_host` to one host; more of them wait in turn."""

    def __init__(
        self,
        *,
        limit: int,
        limit_per_host: int = 0,
        keepalive_seconds: float = KEEPALIVE_SECONDS,
        user_agent: str = "RepoGuard-Webhooks/1",
        context: ssl.SSLContext | None = None,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._keepalive_seconds = keepalive_seconds
        defaults = {"User-Agent": user_agent, "Accept": "*/*", "Content-Type": "application/octet-stream"}
        self._defaults = {name.lower(): f"{name}: {value}\r\n" for name, value in defaults.items()}
        self._deadlines = Deadlines()
        self._context = context
        self._resolver = resolver
        self._connector: GuardedConnector | None = None
        self._targets: dict[str, _Target] = {}
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}

    async def start(self) -> None:
        """Open the pool in the running event loop."""
        self._resolver = self._resolver or Resolver()
        self._connector = GuardedConnector(
            limit=self._limit,
            limit_per_host=self._limit_per_host,
            keepalive_seconds=self._keepalive_seconds,
            context=self._context or tls_context(),
            resolver=self._resolver,
        )

    async def close(self) -> None:
        """Close all connections."""
        self._deadlines.close()
        connector, self._connector = self._connector, None
        if connector is not None:
            await connector.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def send(self, request: OutboundRequest) -> Answer:
        """POST once and return how it ended; raises only CancelledError.

        A kept connection that the receiver had closed before any byte of the answer is replaced by a new one, once.
        """
        answer = Answer(started_at=datetime.now(UTC))
        begin = monotonic()
        try:
            target = self._targets.get(request.url) or self._new_target(request.url)
        except InvalidInput as invalid:
            answer.error_class, answer.error = Failure.INVALID_URL.value, "; ".join(invalid.fields.get("url", [])) or invalid.message
        except AddressRefused as refused:
            answer.error_class, answer.error = Failure.ADDRESS_REFUSED.value, refused.message
        else:
            marks = Marks(plain=target.plain, literal=target.literal)
            MARKS.set(marks)
            try:
                with self._deadlines.within(request.total_timeout):
                    await self._exchange(request, target, marks, answer)
            except Exception as exc:  # whatever the other side does becomes an answer
                failure, sentence = classify(exc, marks, request, target.host, target.port)
                if failure is Failure.INTERNAL:
                    logger.error("sending to %s failed: %s", target.host, redact.text("".join(traceback.format_exception(exc))))
                answer.error_class, answer.error = failure.value, sentence
            _note(answer, marks)
        answer.timings.total_ms = (monotonic() - begin) * 1000
        return answer

    async def _exchange(self, request: OutboundRequest, target: _Target, marks: Marks, answer: Answer) -> None:
        head = self._head(target, request)
        try:
            await self._converse(request, target, head, marks, answer)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as exc:
            if isinstance(exc, aiohttp.ClientConnectorError) or not marks.reused or marks.first_byte is not None:
                raise
            # the receiver had closed the kept connection; sending twice is safe, since receivers know messages by their id
            marks.renew()
            await self._converse(request, target, head, marks, answer)

    async def _converse(self, request: OutboundRequest, target: _Target, head: bytes, marks: Marks, answer: Answer) -> None:
        """Write the request to a connection and read the answer from it."""
        connector = self._connector
        if connector is None:
            raise RuntimeError("Sender.start() was not called")
        connection = await connector.take(target.request, target.key, self._connect_timeout(request.connect_timeout), marks)
        handler, transport = connection.protocol, connection.transport
        reusable = False
        try:
            if handler is None or transport is None:
                raise aiohttp.ServerDisconnectedError
            if not marks.reused:  # the parser of a kept connection goes on with its next answer
                handler.set_response_params(
                    read_until_eof=True,
                    auto_decompress=False,
                    read_bufsize=READ_BYTES,
                    max_line_size=MAX_HEADER_BYTES,
                    max_field_size=MAX_HEADER_BYTES,
                    max_headers=MAX_HEADERS,
                )
            transport.writelines((head, request.body))
            message, payload = await _final(handler)
            answer.status = message.code
            answer.headers = _headers(message.headers)
            answer.retry_after = retry_after(message.headers.get("Retry-After"), answer.started_at)
            await _read_body(message.headers, payload, request.max_response_body, answer)
            # an answer may come before the request was taken in whole: what is left must not run into the next one
            reusable = payload.is_eof() and transport.get_write_buffer_size() == 0
        finally:
            connector.give_back(connection, reusable=reusable)

    def _head(self, target: _Target, request: OutboundRequest) -> bytes:
        """Return request line and headers. Raises UnsendableError for a header that would break out of its line."""
        lines = [request.method, target.head]
        seen = set()
        for name, value in request.headers.items():
            if lower := _sent_name(name):
                seen.add(lower)
                lines.append(f"{name}: {value}\r\n")
        lines += [line for lower, line in self._defaults.items() if lower not in seen]
        head = f"{''.join(lines)}Content-Length: {len(request.body)}\r\n\r\n"
        expected = len(lines) + 3  # the second holds three lines, and two close the head
        if head.count("\n") != expected or head.count("\r") != expected or "\0" in head:
            raise UnsendableError
        try:
            return head.encode()
        except UnicodeEncodeError:
            raise UnsendableError from None

    def _new_target(self, url: str) -> _Target:
        if len(self._targets) >= MAX_TARGETS:
            self._targets.clear()
        target = self._targets[url] = _Target(url, asyncio.get_running_loop())
        return target

    def _connect_timeout(self, seconds: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get(seconds)
        if timeout is None:
            if len(self._timeouts) >= MAX_TARGETS:
                self._timeouts.clear()
            timeout = self._timeouts[seconds] = aiohttp.ClientTimeout(connect=seconds, ceil_threshold=math.inf)
        return timeout


@lru_cache(maxsize=4096)
def _sent_name(name: str) -> str:
    """Return a header's name in lower case, nothing where the client writes it itself. Raises UnsendableError."""
    lower = name.lower()
    if lower in _OWN_HEADERS:
        return ""
    if not _HEADER_NAME.fullmatch(name):
        raise UnsendableError
    return lower


async def _final(handler: ResponseHandler) -> tuple[RawResponseMessage, StreamReader]:
    """Return the answer that follows the informational ones (100, 103)."""
    while True:
        message, payload = await handler.read()
        if message.code < 100:
            raise BadStatusLine(f"status {message.code}")
        if message.code >= 200 or message.code == 101:
            return message, payload


def retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or as an HTTP date; None when it can't be read."""
    if not value:
        return None
    if _SECONDS.fullmatch(value.strip()):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


async def _read_body(headers: Mapping[str, str], content: StreamReader, cap: int, answer: Answer) -> None:
    """Keep `cap` bytes; discard a little more to save the connection, but never read on without end."""
    chunks: list[bytes] = []
    size = 0
    try:
        # most answers are there in whole by now, and need no further waiting
        while chunk := content.read_nowait() if content.is_eof() else await content.readany():
            if size < cap:
                chunks.append(chunk)
            size += len(chunk)
            if size > cap + DISCARD_BYTES:
                break
    finally:
        whole = b"".join(chunks)
        answer.truncated = size > cap
        answer.body = whole[:cap] if answer.truncated else whole
        encoding = headers.get("Content-Encoding", "identity").strip().lower()
        if answer.body and encoding not in {"", "identity"}:
            answer.body = f"[{size} bytes, {encoding[:40]}; not unpacked]".encode()


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in headers.items():
        if len(kept) >= KEPT_HEADERS:
            break
        shown = redact.header(name[:100], value[:KEPT_HEADER_CHARS])
        kept[name[:100]] = f"{kept[name]}, {shown}"[:KEPT_HEADER_CHARS] if name in kept else shown
    return kept


def _note(answer: Answer, marks: Marks) -> None:
    answer.address = marks.address
    timings = answer.timings
    timings.dns_ms = _span(marks.dns_start, marks.dns_end)
    timings.connect_ms = _span(marks.connect_start, marks.tcp)
    timings.tls_ms = None if marks.plain else _span(marks.tcp, marks.ready)
    timings.first_byte_ms = _span(marks.ready, marks.first_byte)


def _span(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else (end - start) * 1000
