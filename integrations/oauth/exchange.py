"""Talking to a provider: one request through the door, and what its refusal means."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from urllib.parse import urlsplit

from core import redact
from core.errors import OutboundError
from core.http.client import Door
from core.http.door import MEGABYTE, BadAnswer, Outgoing, SignInFailed, Terms
from core.models.outbound import CallPurpose
from integrations.contract.signin import OAuthApp
from integrations.oauth.protocol import FormRequest, Refusal, TokenAnswer, UnusableAnswerError, parse_refusal, parse_tokens

TIMEOUT = 15.0
# what providers call a code or refresh token that is no longer good (GitHub has words of its own)
_GONE = frozenset({"invalid_grant", "bad_refresh_token", "bad_verification_code", "interaction_required", "consent_required"})
_CLIENT = frozenset({"invalid_client", "unauthorized_client", "incorrect_client_credentials"})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\xa0-\uffff]+")


class GrantGoneError(SignInFailed):
    """The sign-in itself is over: refused for good until a person connects again."""


@dataclass(frozen=True)
class Holder:
    """The integration that signs in, and as which client."""

    id: uuid.UUID
    name: str
    owner_id: uuid.UUID | None
    app: OAuthApp

    @property
    def provider(self) -> str:
        """Return the provider's host, for sentences."""
        return urlsplit(self.app.token_url).hostname or "the provider"


class _Sent:
    """The credentials are in the request already; here they are only named, so that the log masks an echo of them."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets

    def apply(self, request: Outgoing) -> None:
        """Add nothing."""

    def fingerprint(self) -> str:
        """Return that nothing of this is ever cached."""
        return "sign-in"

    def refused(self) -> bool:
        """Say that nothing can be done."""
        return False

    def secrets(self) -> list[str]:
        """Return what the request holds."""
        return list(self._secrets)


def ask(holder: Holder, request: FormRequest) -> TokenAnswer:
    """Ask for tokens once; no transaction may be open.

    Raises GrantGoneError where only a person can help, SignInFailed for a refusal or an unusable answer, and the door's
    other errors where the provider can't be asked now.
    """
    try:
        reply = _door(holder, request).request(
            "POST", request.url, headers=request.headers, body=request.body, expected={200, 201}, repeatable=False
        )
    except BadAnswer as error:
        if error.status_code is None or error.status_code >= 500:
            raise _named(holder, error) from None
        raise refused(holder, parse_refusal(error.body), error.status_code) from None
    except SignInFailed:  # what the door makes of a 401
        raise refused(holder, Refusal("invalid_client"), 401) from None
    except OutboundError as error:
        raise _named(holder, error) from None
    try:
        answer = parse_tokens(reply.body, holder.app.exchange)
    except UnusableAnswerError as reason:
        raise SignInFailed(f"{holder.provider} answered the sign-in with something that can't be used: {reason}.") from None
    if isinstance(answer, Refusal):
        raise refused(holder, answer, reply.status)
    return answer


def give_up(holder: Holder, request: FormRequest) -> None:
    """Tell the provider that a token is not used any more. Raises OutboundError."""
    _door(holder, request).request("POST", request.url, headers=request.headers, body=request.body, repeatable=False)


def refused(holder: Holder, refusal: Refusal, status: int | None = None) -> SignInFailed:
    """Return the error for a provider's refusal, in words."""
    said = _said(refusal)
    if holder.app.exchange is not None:
        shown = f" ({status})" if status else ""
        return SignInFailed(f"{holder.provider} refused the sign-in{shown}. {holder.app.exchange.hint}")
    if refusal.code in _GONE:
        return GrantGoneError(f"{holder.provider} no longer accepts this sign-in{said}. Connect the integration again.")
    if refusal.code in _CLIENT or (status == 401 and not refusal.code):
        return SignInFailed(f"{holder.provider} refused the client{said}. Check client id, client secret and how the secret is sent.")
    if refusal.code == "invalid_scope":
        return SignInFailed(f"{holder.provider} does not grant these scopes{said}. Correct them in the integration's configuration.")
    if refusal.code == "access_denied":
        return SignInFailed(f"{holder.provider} says that access was denied{said}. Connect again, and agree when it asks.")
    if refusal.code == "unsupported_grant_type":
        return SignInFailed(f"{holder.provider} does not offer this way to sign in{said}. Choose another one in the configuration.")
    if refusal.code in ("server_error", "temporarily_unavailable"):
        return temporary(f"{holder.provider} could not sign in just now{said}. Try again in a few minutes.")
    shown = f" with status {status}" if status and status != 200 else ""
    return SignInFailed(f"{holder.provider} refused the sign-in{shown}{said}. Check token URL, client id, client secret and scopes.")


def temporary(sentence: str, retry_after: float | None = None) -> SignInFailed:
    """Return an error that says that trying again may help."""
    error = SignInFailed(sentence, retry_after=retry_after)
    error.permanent = False
    return error


def _said(refusal: Refusal) -> str:
    words = _UNPRINTABLE.sub(" ", redact.text(refusal.description)).strip().rstrip(".")
    return f" ({': '.join(text for text in (refusal.code, words) if text)})" if refusal.code or words else ""


def _named(holder: Holder, error: OutboundError) -> OutboundError:
    error.message = f"Signing in at {holder.provider} failed. {error.message}"
    error.args = (error.message,)
    return error


def _door(holder: Holder, request: FormRequest) -> Door:
    # the provider is not the service: its calls neither use up the service's quota nor trip its breaker
    terms = Terms(
        integration_id=holder.id,
        name=holder.name,
        owner_id=holder.owner_id,
        purpose=CallPurpose.SIGN_IN,
        timeout=TIMEOUT,
        max_body=MEGABYTE,
        attempts=1,
        longest_wait=0.0,
        breaker_failures=0,
    )
    return Door(terms, _Sent(request.secrets))
