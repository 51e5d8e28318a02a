"""Every error that RepoGuard raises on purpose.

RepoGuardError                    code, sentence, permanent, retry_after, http status, field errors
├── InvalidInput        400       the caller's data is wrong: `fields` names what and how to mend it
├── NotAllowed          403       authenticated, but without the right; says which scope or role is missing
├── NotFound            404       no such object, or not this caller's
├── Conflict            409       the object's state forbids it now
├── TooLarge            413       a body or a value over its cap; names the setting
├── RateLimited         429       with `retry_after`
├── Unavailable         503       a part of the portal is missing for now; with `retry_after`
└── OutboundError                 a call to another system failed (see core/http)
    └── AddressRefused            the guard refused the address: names the rule and the setting that allows it
"""

from __future__ import annotations

from collections.abc import Mapping


class RepoGuardError(Exception):
    """Base of all: `code` for programs, `message` for people; `permanent` means that trying again can't help."""

    code = "error"
    status = 500
    permanent = True

    def __init__(
        self, message: str, *, code: str = "", fields: Mapping[str, list[str]] | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.fields: dict[str, list[str]] = {name: list(errors) for name, errors in (fields or {}).items()}
        self.retry_after = retry_after


class InvalidInput(RepoGuardError):
    """The caller's data is wrong."""

    code = "invalid"
    status = 400

    @classmethod
    def of(cls, field: str, sentence: str, *, code: str = "") -> InvalidInput:
        """Return an error about one field."""
        return cls(f"{field}: {sentence}", code=code, fields={field: [sentence]})


class NotAllowed(RepoGuardError):
    """The caller is known but lacks the right."""

    code = "not_allowed"
    status = 403


class NotFound(RepoGuardError):
    """There is no such object for this caller."""

    code = "not_found"
    status = 404


class Conflict(RepoGuardError):
    """The object's present state forbids the request."""

    code = "conflict"
    status = 409


class TooLarge(RepoGuardError):
    """A body or value exceeds its cap."""

    code = "too_large"
    status = 413


class RateLimited(RepoGuardError):
    """Too many requests; `retry_after` seconds to wait."""

    code = "rate_limited"
    status = 429
    permanent = False


class Unavailable(RepoGuardError):
    """A needed part is missing for now."""

    code = "unavailable"
    status = 503
    permanent = False


class OutboundError(RepoGuardError):
    """A call to another system failed; `code` is the error class shown in logs."""

    code = "outbound_failed"
    status = 502
    permanent = False


class AddressRefused(OutboundError):
    """The address guard refused to connect."""

    code = "address_refused"
    permanent = True
