"""One exchange of a connector: a request goes out, an answer comes back, whole or with the reason why not. Nothing is raised."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException, IncompleteRead, LineTooLong  # noqa: TID251 - this is the door
from time import monotonic

from requests import PreparedRequest, Response  # noqa: TID251
from requests.structures import CaseInsensitiveDict  # noqa: TID251
from urllib3.exceptions import DecodeError, HTTPError

from core import redact
from core.errors import AddressRefused, InvalidInput
from core.http.adapter import GuardedAdapter
from core.http.connector import MARKS, tls_context
from core.http.failures import Verdict, explain_certificate, explain_connect, explain_disconnected, explain_dns
from core.http.guard import ParsedTarget, check_url
from core.http.messages import Failure
from core.http.wire import HeadTooLargeError, Wire

__all__ = ["Answered", "Failure", "Limits", "diagnose", "exchange"]

logger = logging.getLogger(__name__)
READ_BYTES = 65_536
_NOT_COUNTED = frozenset({Failure.ADDRESS_REFUSED, Failure.INVALID_URL, Failure.INTERNAL})


@dataclass(frozen=True)
class Limits:
    """What an exchange may take: seconds until connected (name, TCP, TLS), seconds until the last byte, bytes of unpacked body."""

    connect_timeout: float
    timeout: float
    max_body: int


@dataclass
class Answered:
    """How an exchange ended. Without `failure` the answer is whole; with one, `status` may be known all the same.

    Headers and body are as they came, and the body of an answer that is too large ends at the cap.
    """

    started_at: datetime
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=CaseInsensitiveDict)
    body: bytes = field(default=b"", repr=False)
    failure: Failure = Failure.NONE
    sentence: str = ""
    address: str = ""
    duration: float = 0.0
    sent: bool = False
    """Something may have reached the service."""

    @property
    def against_service(self) -> bool:
        """Say whether the failure tells that the service is in trouble, rather than this portal or its settings."""
        return self.failure is not Failure.NONE and self.failure not in _NOT_COUNTED and self.failure is not Failure.ANSWER_TOO_LARGE


class _Pools:
    """The kept connections of this process; a forked one must not share its parent's."""

    adapter: GuardedAdapter | None = None
    pid = 0

    @classmethod
    def get(cls) -> GuardedAdapter:
        if cls.adapter is None or cls.pid != os.getpid():
            cls.adapter, cls.pid = GuardedAdapter(tls_context()), os.getpid()
        return cls.adapter


def exchange(method: str, url: str, headers: Mapping[str, str], body: bytes | None, limits: Limits, *, repeatable: bool) -> Answered:
    """Send a request once and read its answer. The headers must be fit to be sent (core/http/prepare.py).

    A request that may be repeated can go over a kept connection, and is sent anew when the service had closed that one.
    """
    answered = Answered(started_at=datetime.now(UTC))
    begin = monotonic()
    try:
        target = check_url(url)
    except InvalidInput as invalid:
        answered.failure, answered.sentence = Failure.INVALID_URL, invalid.message
        return answered
    except AddressRefused as refused:
        answered.failure, answered.sentence = Failure.ADDRESS_REFUSED, refused.message
        return answered
    wire = Wire(
        plain=target.scheme == "http",
        literal=target.address is not None,
        connect_timeout=limits.connect_timeout,
        timeout=limits.timeout,
    )
    wire.fresh = not repeatable
    token = MARKS.set(wire)
    try:
        error = _converse(_prepared(method, target, headers, body), limits, answered)
        if error is not None and _was_closed(wire, answered):
            wire.renew()
            error = _converse(_prepared(method, target, headers, body), limits, answered)
    finally:
        MARKS.reset(token)
    if error is not None:
        answered.failure, answered.sentence = diagnose(wire.cause or error, wire, target, limits)
        if answered.failure is Failure.INTERNAL:
            logger.error("calling %s failed: %s", target.host, redact.text("".join(traceback.format_tb(error.__traceback__))))
    answered.address, answered.sent = wire.address, wire.ready is not None
    answered.duration = monotonic() - begin
    return answered


def _prepared(method: str, target: ParsedTarget, headers: Mapping[str, str], body: bytes | None) -> PreparedRequest:
    """Return the request as requests' transport takes it; nothing of it is rewritten on the way."""
    prepared = PreparedRequest()
    prepared.method, prepared.url, prepared.body = method, target.url, body
    prepared.headers = CaseInsensitiveDict(headers)
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    return prepared


def _converse(request: PreparedRequest, limits: Limits, answered: Answered) -> Exception | None:
    """Send and read; returns what went wrong."""
    response: Response | None = None
    try:
        response = _Pools.get().send(request, stream=True, timeout=(limits.connect_timeout, limits.timeout), proxies={})
        answered.status, answered.headers = response.status_code, response.headers
        _read(response, limits.max_body, answered)
    except Exception as error:  # whatever the other side does becomes an answer
        return error
    finally:
        if response is not None:
            response.close()
    return None


def _read(response: Response, cap: int, answered: Answered) -> None:
    chunks: list[bytes] = []
    size = 0
    declared = response.headers.get("Content-Length", "")
    too_large = response.request.method != "HEAD" and declared.isdigit() and len(declared) < 16 and int(declared) > cap
    if not too_large:
        try:
            for chunk in response.raw.stream(READ_BYTES, decode_content=True):
                chunks.append(chunk)
                size += len(chunk)
                if size > cap:
                    too_large = True
                    break
        finally:
            answered.body = b"".join(chunks)[:cap]
    if too_large:
        answered.failure = Failure.ANSWER_TOO_LARGE
        answered.sentence = (
            f"The answer is larger than {cap} bytes, which is all that is read. Ask for less at once, such as smaller pages."
        )


def _was_closed(wire: Wire, answered: Answered) -> bool:
    """Say whether the service had closed a kept connection before it saw the request."""
    return wire.reused and wire.first_byte is None and answered.status is None and isinstance(wire.cause, ConnectionError)


def diagnose(cause: BaseException, wire: Wire, target: ParsedTarget, limits: Limits) -> Verdict:
    """Say what went wrong on the way there or back."""
    host, place = target.host, f"{target.host}:{target.port}"
    if wire.refused is not None and wire.ready is None:
        return Failure.ADDRESS_REFUSED, wire.refused.message if wire.literal else f"{host}: {wire.refused.message}"
    cause = _root(cause)
    if isinstance(cause, TimeoutError):
        return _timeout(wire, host, place, limits)
    if isinstance(cause, socket.gaierror):
        return explain_dns(cause, host)
    if isinstance(cause, UnicodeError) and wire.ready is None:
        return Failure.DNS, f"The host name {host} can't be looked up: a part of it is too long or empty. Check its spelling."
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Failure.TLS, explain_certificate(cause, host)
    if isinstance(cause, OSError) and wire.ready is None:
        return explain_connect(cause, wire, place, host)
    return _broken(cause, wire, host)


def _broken(cause: BaseException, wire: Wire, host: str) -> Verdict:
    """Name what is wrong with an answer."""
    text = str(cause).lower()
    if isinstance(cause, HeadTooLargeError | LineTooLong) or (type(cause) is HTTPException and "more than" in text):
        return Failure.ANSWER_TOO_LARGE, f"{host} sent more or longer headers than are read."
    if isinstance(cause, OSError | IncompleteRead):  # also what is both: RemoteDisconnected
        return explain_disconnected(wire, host)
    if isinstance(cause, DecodeError) or "decompress" in text or "incorrect header check" in text:
        return Failure.PROTOCOL, f"{host} sent a body that can't be unpacked as its Content-Encoding says. Look for a broken proxy there."
    if isinstance(cause, HTTPException) or (isinstance(cause, HTTPError | ValueError) and wire.first_byte is not None):
        return Failure.PROTOCOL, f"{host} answered with something that is not HTTP. Check the port and what listens there."
    return Failure.INTERNAL, f"The portal failed to make this call ({type(cause).__name__}); its log has the details."


def _root(error: BaseException) -> BaseException:
    """Return what urllib3 and requests wrapped."""
    seen = set()
    while id(error) not in seen:
        seen.add(id(error))
        inner = error.__cause__ or error.__context__
        if inner is None or isinstance(error, DecodeError | TimeoutError):
            break
        error = inner
    return error


def _timeout(wire: Wire, host: str, place: str, limits: Limits) -> Verdict:
    if wire.ready is None:
        if wire.tcp is not None:
            return Failure.TLS, f"{place} accepted the connection, but the TLS handshake did not end in time. Check that it speaks TLS."
        if wire.dns_start is not None and wire.dns_end is None:
            return Failure.DNS, f"The name {host} was not resolved in time. Check the host name and the name server."
        seconds = f"{min(limits.connect_timeout, limits.timeout):g} s"
        return (
            Failure.CONNECT_TIMEOUT,
            f"{place} did not accept a connection within {seconds}. Check that it runs and no firewall drops the packets.",
        )
    began = "took the request, but did not answer" if wire.first_byte is None else "began to answer, but did not finish"
    return Failure.TIMEOUT, f"{host} {began} within {limits.timeout:g} s. Look at its load, or raise the integration's timeout."
