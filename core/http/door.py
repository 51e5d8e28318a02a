"""What passes through the door: the terms on which an integration calls out, the credentials' part in it, and what comes back.

core/http/client.py is the door itself. Connectors see `Door`, `Reply` and the typed errors below; limits, breaker, retries, cache
and log are the door's business.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from core.errors import AddressRefused, InvalidInput, OutboundError, RepoGuardError
from core.models.outbound import CallPurpose

MEGABYTE = 1024 * 1024


@dataclass(frozen=True)
class Terms:
    """The limits under which an integration calls. Times in seconds, sizes in bytes."""

    integration_id: uuid.UUID
    name: str
    owner_id: uuid.UUID | None = None
    purpose: CallPurpose = CallPurpose.OTHER
    endpoint: str = ""
    rate_per_minute: int | None = None
    quota_limit: int | None = None
    quota_window_seconds: int = 3600
    breaker_failures: int = 5
    """Failures in a row that open the breaker; 0 neither asks nor tells it."""
    breaker_hold_seconds: int = 30
    connect_timeout: float = 5.0
    timeout: float = 30.0
    """For one call, from connect to the last byte."""
    max_body: int = 25 * MEGABYTE
    attempts: int = 3
    """How often a call that may be repeated is tried; 1 where the caller retries by itself (deliveries)."""
    longest_wait: float = 5.0
    """A wait that a service or limit asks for is slept through up to this; a longer one is raised as the error's retry_after."""
    stale_seconds: int = 0
    user_agent: str = "RepoGuard/1"


@dataclass
class Outgoing:
    """A request on its way out, as the credentials' part may change it: add a header, a query parameter, never the address."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    params: list[tuple[str, str]] = field(default_factory=list, repr=False)
    body: bytes | None = field(default=None, repr=False)


class Auth(Protocol):
    """Puts credentials on a request. `repr` must not show them."""

    def apply(self, request: Outgoing) -> None:
        """Add the credentials. May itself fetch a token; raises SignInFailed where it can't."""

    def fingerprint(self) -> str:
        """Return a hash that differs for different credentials: an answer is cached for these only."""

    def refused(self) -> bool:
        """The service answered 401: forget a short-lived token. Return True where a new one may help, so that the call is repeated once."""

    def secrets(self) -> list[str]:
        """Return every secret text, so that answers which echo one are masked in the log."""


class NoAuth:
    """No credentials."""

    def apply(self, request: Outgoing) -> None:
        """Add nothing."""

    def fingerprint(self) -> str:
        """Return the one fingerprint of having none."""
        return "none"

    def refused(self) -> bool:
        """Say that nothing can be done."""
        return False

    def secrets(self) -> list[str]:
        """Return none."""
        return []


@dataclass(frozen=True)
class Reply:
    """A good answer: its status was among those expected."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Found in any case."""
    body: bytes = field(repr=False)
    url: str = field(repr=False)
    stale: bool = False
    """An older answer, because the service could not be asked; `age` says how old."""
    cached: bool = False
    age: float = 0.0

    def json(self) -> Any:
        """Return the parsed body. Raises BadAnswer when it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            kind = self.headers.get("Content-Type", "an unnamed type")
            raise BadAnswer(
                f"The service answered {self.status} with {kind[:60]}, which is not valid JSON.", status_code=self.status
            ) from error

    def text(self) -> str:
        """Return the body as text, with unreadable bytes replaced."""
        return self.body.decode("utf-8", "replace")


class CircuitOpen(OutboundError):
    """The integration's breaker is open; `retry_after` says when it lets a probe through."""

    code = "circuit_open"
    status = 503


class QuotaUsedUp(OutboundError):
    """The integration's own quota or rate limit is used up; `retry_after` says until when."""

    code = "quota_used_up"
    status = 503


class Throttled(OutboundError):
    """The service asks to wait longer than the door waits by itself (429, 503 or 403 with a reset time); see `retry_after`."""

    code = "throttled"
    status = 503


class CallFailed(OutboundError):
    """No answer: the connection could not be made, broke, or took too long. `code` is the error class (dns, connect, tls, timeout…)."""

    code = "call_failed"


class BadAnswer(OutboundError):
    """An answer that was not expected: its status, or a body that is not what it should be.

    `status_code` is the service's; `body` its beginning, redacted, for the connector to find the reason in. `headers` are as they
    came but for the integration's own secrets, found in any case: what is shown of them goes through the connector's `shown()`.
    """

    code = "bad_answer"

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        code: str = "",
        permanent: bool = False,
        **more: Any,
    ) -> None:
        super().__init__(message, code=code, **more)
        self.status_code = status_code
        self.body = body
        self.headers: Mapping[str, str] = {} if headers is None else headers
        self.permanent = permanent


class SignInFailed(OutboundError):
    """The credentials were refused, or no token could be had; a person must mend them."""

    code = "sign_in_failed"
    permanent = True


_NEVER_SENT = frozenset({"dns", "connect", "connect_timeout", "tls", "address_refused", "invalid_url"})
_UNDECIDED = frozenset({408, 425})


def surely_undone(error: RepoGuardError) -> bool:
    """Say whether a call that failed so has surely done nothing at the service: it never left, or was refused."""
    if isinstance(error, BadAnswer):
        status = error.status_code
        refused = status is not None and 300 <= status < 500 and status not in _UNDECIDED
        return refused or (error.permanent and (status is None or status >= 500))
    if isinstance(error, CallFailed):
        return error.code in _NEVER_SENT
    return isinstance(error, InvalidInput | AddressRefused | CircuitOpen | QuotaUsedUp | Throttled | SignInFailed)
