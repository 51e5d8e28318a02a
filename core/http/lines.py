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
from typing import NoReturn

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

    def is_up(self, up: bool = True) -> None:
        """Note that the connection stands, or that a TLS handshake is still to come: an error says something else then."""
        self.wire.ready = monotonic() if up else None

    def remaining(self) -> float:
        """Return the seconds until the deadline. Raises TimeoutError when none are left."""
        return self.wire.remaining()

    def reader(self, sock: socket.socket) -> io.BufferedReader:
        """Return a file that reads from the socket until the deadline, however slowly the bytes come."""
        return reader(sock, self.wire)


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
