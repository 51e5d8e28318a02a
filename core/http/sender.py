"""The delivery client: POSTs over pooled keep-alive connections, guarded, bounded in time and size. One per event loop."""

from __future__ import annotations

import asyncio
import io
import logging
import math
import re
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic
from typing import NamedTuple

import aiohttp  # noqa: TID251 - this is the door
from aiohttp.abc import AbstractResolver  # noqa: TID251
from yarl import URL

from core import redact
from core.errors import AddressRefused, InvalidInput
from core.http.connector import MARKS, GuardedConnector, Marks, Resolver, tls_context
from core.http.failures import classify
from core.http.guard import ParsedTarget, check_url
from core.http.messages import Answer, Failure, OutboundRequest, Timings

__all__ = ["Answer", "Failure", "OutboundRequest", "Sender", "Timings"]

logger = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 15.0
MAX_HEADERS = 100
MAX_HEADER_BYTES = 8190
KEPT_HEADERS = 50
KEPT_HEADER_CHARS = 1000
DISCARD_BYTES = 65_536  # read past the cap, so that the connection can be kept
MAX_TARGETS = 10_000
_LARGE_BODY = 2**20  # aiohttp warns about larger bytes objects
_OWN_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te", "trailer"})
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


class _Target(NamedTuple):
    url: URL
    checked: ParsedTarget


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
        self._user_agent = user_agent
        self._context = context
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._targets: dict[str, _Target] = {}
        self._timeouts: dict[tuple[float, float], aiohttp.ClientTimeout] = {}

    async def start(self) -> None:
        """Open the pool in the running event loop."""
        self._resolver = self._resolver or Resolver()
        connector = GuardedConnector(
            limit=self._limit,
            limit_per_host=self._limit_per_host,
            keepalive_seconds=self._keepalive_seconds,
            context=self._context or tls_context(),
            resolver=self._resolver,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._resolver is not None:
            await self._resolver.close()

    async def send(self, request: OutboundRequest) -> Answer:
        """POST once and return how it ended; raises only CancelledError.

        A kept connection that the receiver had closed before any byte of the answer is replaced by a new one, once.
        """
        answer = Answer(started_at=datetime.now(UTC))
        begin = monotonic()
        try:
            target = self._target(request.url)
        except InvalidInput as invalid:
            answer.error_class, answer.error = Failure.INVALID_URL.value, "; ".join(invalid.fields.get("url", [])) or invalid.message
        except AddressRefused as refused:
            answer.error_class, answer.error = Failure.ADDRESS_REFUSED.value, refused.message
        else:
            marks = Marks(plain=target.checked.scheme == "http", literal=target.checked.address is not None)
            MARKS.set(marks)
            again = await self._try(request, target, marks, answer, request.total_timeout)
            if again:
                marks.reset()
                marks.fresh = True
                await self._try(request, target, marks, answer, request.total_timeout - (monotonic() - begin))
            _note(answer, marks)
        answer.timings.total_ms = (monotonic() - begin) * 1000
        return answer

    async def _try(self, request: OutboundRequest, target: _Target, marks: Marks, answer: Answer, seconds: float) -> bool:
        """Fill in `answer`; True when a stale connection was to blame and a new one may be tried."""
        try:
            await self._exchange(request, target, answer, seconds)
        except Exception as exc:  # every failure of the other side becomes an answer
            if _is_stale(exc, marks) and not marks.fresh:
                return True
            failure, sentence = classify(exc, marks, request, target.checked.host, target.checked.port)
            if failure is Failure.INTERNAL:
                logger.exception("sending failed", extra={"host": target.checked.host})
            answer.error_class, answer.error = failure.value, sentence
        return False

    async def _exchange(self, request: OutboundRequest, target: _Target, answer: Answer, seconds: float) -> None:
        if self._session is None:
            raise RuntimeError("Sender.start() was not called")
        if not _OWN_HEADERS.isdisjoint(map(str.lower, request.headers)):
            raise ValueError("a header that the client sets itself")
        body = request.body
        response = await self._session.request(
            "POST",
            target.url,
            data=body if len(body) < _LARGE_BODY else io.BytesIO(body),
            headers=request.headers,
            allow_redirects=False,
            timeout=self._timeout(request.connect_timeout, max(seconds, 0.001)),
        )
        try:
            answer.status = response.status
            answer.headers = _headers(response)
            answer.retry_after = retry_after(response.headers.get("Retry-After"), answer.started_at)
            await _read_body(response, request.max_response_body, answer)
        finally:
            response.close()  # does nothing when the answer was read to its end: the connection is back in the pool

    def _target(self, url: str) -> _Target:
        target = self._targets.get(url)
        if target is None:
            checked = check_url(url)
            if len(self._targets) >= MAX_TARGETS:
                self._targets.clear()
            target = self._targets[url] = _Target(URL(checked.url, encoded=True), checked)
        return target

    def _timeout(self, connect: float, total: float) -> aiohttp.ClientTimeout:
        timeout = self._timeouts.get((connect, total))
        if timeout is None:
            if len(self._timeouts) >= 100:
                self._timeouts.clear()
            timeout = aiohttp.ClientTimeout(total=total, connect=connect, ceil_threshold=math.inf)
            self._timeouts[connect, total] = timeout
        return timeout


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


def _is_stale(exc: Exception, marks: Marks) -> bool:
    """Say whether a kept connection broke before any byte of the answer."""
    broken = isinstance(exc, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) and not isinstance(exc, aiohttp.ClientConnectorError)
    return broken and marks.reused and marks.first_byte is None and not isinstance(exc, asyncio.TimeoutError)


async def _read_body(response: aiohttp.ClientResponse, cap: int, answer: Answer) -> None:
    """Keep `cap` bytes; discard a little more to save the connection, but never read on without end."""
    chunks: list[bytes] = []
    size = 0
    content = response.content
    try:
        while chunk := await content.readany():
            if size < cap:
                chunks.append(chunk)
            size += len(chunk)
            if size > cap + DISCARD_BYTES:
                break
    finally:
        whole = b"".join(chunks)
        answer.truncated = size > cap
        answer.body = whole[:cap] if answer.truncated else whole
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"", "identity"} and answer.body:
            answer.body = f"[{size} bytes, {redact.text(encoding)[:40]}; not unpacked]".encode()


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in response.headers.items():
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
