"""What goes into the delivery client and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Failure(StrEnum):
    """Why there is no (complete) answer. The values are shown and stored as the error class of an attempt."""

    NONE = ""
    DNS = "dns"
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    PROTOCOL = "protocol"
    ANSWER_TOO_LARGE = "answer_too_large"
    ADDRESS_REFUSED = "address_refused"
    INVALID_URL = "invalid_url"
    INTERNAL = "internal"


class UnsendableError(ValueError):
    """A header would break out of its line."""


@dataclass(slots=True)  # not frozen: that makes the one that each delivery needs three times as expensive
class OutboundRequest:
    """One request. Timeouts in seconds; `max_response_body` in bytes is what is kept of the answer's body."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    connect_timeout: float = 10.0
    total_timeout: float = 30.0
    max_response_body: int = 16_384
    method: str = "POST"


@dataclass(slots=True)
class Timings:
    """Milliseconds of each phase on its own; None where it was not reached, or not needed on a reused connection.

    `first_byte_ms` runs from the open connection to the first byte of the answer, `total_ms` from the call to its end.
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None


@dataclass(slots=True)
class Answer:
    """How one request ended. `status` is None when no answer came; `error` says why and what probably mends it.

    Headers and error are redacted; the body is capped to `max_response_body` bytes (`truncated`), and is not redacted.
    `retry_after` is the answer's Retry-After in seconds from now; `address` is the IP address connected to.
    """

    started_at: datetime
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = field(default=b"", repr=False)
    truncated: bool = False
    error_class: str = Failure.NONE.value
    error: str = ""
    retry_after: float | None = None
    address: str = ""
    timings: Timings = field(default_factory=Timings)
