"""Calls in other protocols than HTTP (SMTP, SSH): over a socket that the guard made, on the same terms as any call of the door.

Admitted by pause, breaker, rate and quota, ended by a deadline, logged as one row. The protocol itself is the caller's.
"""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NoReturn

from core.errors import AddressRefused, InvalidInput, OutboundError
from core.http import breaker
from core.http.breaker import Pass
from core.http.calllog import CallLog, Entry
from core.http.client import Door, refuse_in_transaction
from core.http.connector import MARKS
from core.http.door import CallFailed, Outgoing, Terms
from core.http.exchange import Answered, Failure, Limits, diagnose
from core.http.guard import ParsedTarget, check_url
from core.http.masking import Mask
from core.http.wire import Wire, dial, reader
from core.models.outbound import CallOutcome

MOST_READ = 8 * 1024 * 1024
"""Bytes of one connection: far more than servers say in one call."""


class Line:
    """A connection to one place, not opened yet."""

    def __init__(self, target: ParsedTarget, terms: Terms) -> None:
        self.host, self.port = target.host, target.port
        self.wire = Wire(
            plain=target.scheme == "http",
            literal=target.address is not None,
            connect_timeout=terms.connect_timeout,
            timeout=terms.timeout,
        )

    def open(self) -> socket.socket:
        """Connect. Raises OSError, which the block's end explains."""
        token = MARKS.set(self.wire)
        try:
            return dial(self.host, self.port, self.wire)
        finally:
            MARKS.reset(token)

    def open_ending(self) -> Any:
        """Connect as open() does, for a library that minds no deadline."""
        return EndingSocket(self.open(), self.wire)

    def is_up(self, up: bool = True) -> None:
        """Note that the connection stands, or that a TLS handshake is still to come: an error says something else then."""
        self.wire.ready = monotonic() if up else None

    def remaining(self) -> float:
        """Return the seconds until the deadline. Raises TimeoutError when none are left."""
        return self.wire.remaining()

    def reader(self, sock: socket.socket) -> LineReader:
        """Return a file that reads lines from the socket until the deadline, however slowly the bytes come, and no more than MOST_READ."""
        return LineReader(reader(sock, self.wire), self.host)


class LineReader:
    """Reads lines, and raises CallFailed where they come without an end."""

    def __init__(self, file: io.BufferedReader, host: str) -> None:
        self._file, self._host, self._left = file, host, MOST_READ

    def readline(self, size: int = -1) -> bytes:
        """Return the next line, of at most `size` bytes."""
        found = self._file.readline(size)
        self._left -= len(found)
        if self._left < 0:
            raise CallFailed(f"{self._host} answers without an end. Check what listens there.", code="protocol")
        return found

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class EndingSocket:
    """A socket for libraries that read in a thread of their own: at the deadline, or after MOST_READ bytes, the other side hangs up."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self._sock, self._wire, self._left = sock, wire, MOST_READ

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        """Return what came, nothing where no more is taken."""
        if self._is_over() or self._left <= 0:
            return b""
        found = self._sock.recv(size)
        self._left -= len(found)
        return found

    def send(self, content: bytes) -> int:
        """Send some of it. Raises EOFError at the deadline: a timeout would be tried again for ever."""
        if self._is_over():
            raise EOFError
        return self._sock.send(content)

    def _is_over(self) -> bool:
        return monotonic() >= self._wire.deadline


@contextlib.contextmanager
def line(door: Door, protocol: str, host: str, port: int, *, plain: bool = False) -> Iterator[Line]:
    """Make one call in another protocol; what the block raises is how it ended, errors of sockets become typed ones.

    `plain` says that nothing is encrypted: then only hosts inside EGRESS_ALLOW_CIDRS are reached. Raises what `Door.request` does.
    """
    refuse_in_transaction()
    log = CallLog(door.terms, Mask(door.auth.secrets()))
    request, url = Outgoing(protocol.upper(), host), f"{protocol}://{host}:{port}"
    try:
        target = _target(host, port, plain=plain)
        terms = door.leaving()
        leave = door.take()
    except (InvalidInput, OutboundError) as error:
        log.refused(request, url, error)
        raise
    answered, begin, made = Answered(datetime.now(UTC)), monotonic(), Line(target, terms)

    def ended(entry: Entry) -> None:
        answered.address, answered.duration = made.wire.address, monotonic() - begin
        log.write(request, url, entry)

    try:
        yield made
    except OutboundError as error:
        _tell(terms, leave, error)
        ended(Entry(CallOutcome.UNEXPECTED, 1, answered, error.code, error.message, error.retry_after))
        raise
    except OSError as error:
        found = _explained(error, made.wire, target, terms)
        _tell(terms, leave, found)
        outcome = CallOutcome.REFUSED if isinstance(found, AddressRefused) else CallOutcome.FAILED
        ended(Entry(outcome, 1, answered, found.code, found.message))
        _raise(found)
    except BaseException:
        breaker.neither(terms, leave)
        raise
    breaker.success(terms, leave)
    ended(Entry(CallOutcome.SUCCESS, 1, answered))


def _raise(error: OutboundError) -> NoReturn:
    raise error from None


def _tell(terms: Terms, leave: Pass, error: OutboundError) -> None:
    """Count against the service that it could not be reached, or had trouble; a refusal proves that it works."""
    if isinstance(error, AddressRefused):
        breaker.neither(terms, leave)
    elif isinstance(error, CallFailed):
        breaker.failure(terms, leave, error.message)
    else:
        breaker.success(terms, leave)


def _explained(error: OSError, wire: Wire, target: ParsedTarget, terms: Terms) -> OutboundError:
    failure, sentence = diagnose(error, wire, target, Limits(terms.connect_timeout, terms.timeout, 0))
    if failure is Failure.ADDRESS_REFUSED:
        return AddressRefused(_unencrypted(sentence))
    return CallFailed(sentence, code=failure.value)


def _target(host: str, port: int, *, plain: bool) -> ParsedTarget:
    """Check a host as the guard checks that of a URL."""
    place = f"[{host}]" if ":" in host else host
    try:
        return check_url(f"{'http' if plain else 'https'}://{place}:{port}/", "host")
    except AddressRefused as refused:
        raise AddressRefused(_unencrypted(refused.message)) from None


def _unencrypted(sentence: str) -> str:
    """Return the guard's sentence about http:// for what is not HTTP."""
    return sentence.replace("http:// is accepted", "An unencrypted connection is accepted").replace("Use https://", "Choose TLS")
