"""The tokens of integrations, shared by all processes: exactly one renews them, the others wait for what it gets.

Whoever finds the access token run out takes the lease on its row by compare-and-set, asks the provider with no transaction
open, and stores the answer only over the version it began with. A killed one's lease lapses. After a failure nobody asks for
a while, so that a provider which refuses is not hammered.
"""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.crypto import salted_hmac

from core.errors import OutboundError
from core.http.door import SignInFailed
from integrations.choices import GrantStatus
from integrations.contract.signin import OAuthApp, OAuthFlow
from integrations.models import Integration, OAuthGrant
from integrations.oauth.exchange import TIMEOUT, GrantGoneError, Holder, ask, temporary
from integrations.oauth.protocol import TokenAnswer, renewal_request

LEASE_SECONDS = TIMEOUT + 10
WAIT_SECONDS = LEASE_SECONDS + 5
POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 0.5
MARGIN_SECONDS = 60
"""A token is renewed so long before its end, or a fifth of its life for short ones: clocks differ, and calls take time."""
HOLD_SECONDS = 60.0
"""After a refusal that a person must mend."""
SHORT_HOLD_SECONDS = 5.0
"""After a provider could not be asked."""
_MOST_ERROR = 500


@dataclass(frozen=True)
class Token:
    """An access token in use, and the renewal it comes from."""

    text: str = field(repr=False)
    version: int


def mark_of(app: OAuthApp) -> str:
    """Return a hash of the client and the place that tokens are issued for; where a secret alone stands for the account, also of it."""
    parts: list[Any] = [app.flow, app.token_url, app.client_id, app.place]
    if app.flow == OAuthFlow.CLIENT_CREDENTIALS:
        parts += [app.client_secret, list(app.scopes), app.audience]
    return str(salted_hmac("integrations.oauth", json.dumps(parts), algorithm="sha256").hexdigest())


def flow_mark_of(app: OAuthApp) -> str:
    """Return a keyed hash of the client that a person is sent to the provider as: of mark_of() and where they sign in."""
    parts = json.dumps([mark_of(app), app.authorize_url])
    return str(salted_hmac("integrations.oauth.flow", parts, algorithm="sha256").hexdigest())


def current_token(holder: Holder, *, note_failures: bool = True) -> Token:
    """Return a token that is still good, renewing it if nobody else does; waits for whoever does.

    Raises SignInFailed, and the door's errors where the provider can't be asked. With `note_failures` off a failure is not
    held against the integration: for trying out credentials.
    """
    mark, deadline, pause = mark_of(holder.app), time.monotonic() + WAIT_SECONDS, POLL_SECONDS
    while True:
        grant = _grant(holder, mark)
        if _is_good(grant, mark):
            return Token(text_of(grant.access_token), grant.version)
        _refuse_the_hopeless(holder, grant, mark)
        if lease := _take_lease(grant):
            token = _renew(holder, grant, mark, lease, note_failures=note_failures)
            if token is not None:
                return token
        elif time.monotonic() > deadline:
            raise temporary(f"Another process has been signing in at {holder.provider} for too long. Try again.", retry_after=5.0)
        else:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_POLL_SECONDS)


def forget(integration_id: uuid.UUID, version: int) -> bool:
    """Drop the access token of a version after the service refused it; True where a newer one can be had."""
    rows = OAuthGrant.objects.filter(pk=integration_id)
    grant = rows.first()
    if grant is None or grant.version != version or grant.access_token is None:
        return grant is not None and grant.status == GrantStatus.CONNECTED  # somebody was faster
    renewable = grant.connection is None or bool(text_of(grant.refresh_token))
    fresh = timezone.now() - grant.updated_at < timedelta(seconds=MARGIN_SECONDS / 2)
    if fresh or not renewable:  # a newer one would be refused as well: the service lacks a right, or is broken
        return False
    rows.filter(version=version).update(access_token=None, updated_at=timezone.now())
    return True


def store_connection(holder: Holder, answer: TokenAnswer, who: str) -> OAuthGrant:
    """Keep the tokens of a sign-in by hand; whatever was there before is replaced, and renewals under way come to nothing."""
    values = _stored(answer, mark_of(holder.app)) | {"refresh_token": answer.refresh_token or None}
    values |= {"connection": uuid.uuid4(), "connected_by": who[:200]}
    OAuthGrant.objects.get_or_create(integration_id=holder.id)
    OAuthGrant.objects.filter(pk=holder.id).update(version=F("version") + 1, **values)
    return OAuthGrant.objects.get(pk=holder.id)


def clear(integration_id: uuid.UUID, status: GrantStatus = GrantStatus.NOT_CONNECTED, error: str = "") -> None:
    """Forget all tokens."""
    OAuthGrant.objects.filter(pk=integration_id).update(
        status=status,
        version=F("version") + 1,
        access_token=None,
        refresh_token=None,
        expires_at=None,
        scope="",
        connected_by="",
        connection=None,
        error=error[:_MOST_ERROR],
        updated_at=timezone.now(),
        **_FREE,
        hold_until=None,
    )


_FREE: dict[str, Any] = {"lease_token": None, "lease_until": None}


def _grant(holder: Holder, mark: str) -> OAuthGrant:
    grant = OAuthGrant.objects.filter(pk=holder.id).first()
    if grant is None and not Integration.objects.filter(pk=holder.id).exists():
        raise SignInFailed("The integration was deleted.")
    return grant or OAuthGrant.objects.get_or_create(integration_id=holder.id, defaults={"app_mark": mark})[0]


def _is_good(grant: OAuthGrant, mark: str) -> bool:
    in_time = grant.expires_at is None or grant.expires_at > timezone.now()
    return bool(text_of(grant.access_token)) and grant.app_mark == mark and in_time


def _refuse_the_hopeless(holder: Holder, grant: OAuthGrant, mark: str) -> None:
    """Raise SignInFailed where asking the provider can't help, or not yet."""
    if holder.app.flow == OAuthFlow.AUTHORIZATION_CODE:
        if grant.status == GrantStatus.REVOKED:
            raise GrantGoneError(grant.error or f"{holder.provider} no longer accepts this sign-in. Connect the integration again.")
        if grant.status == GrantStatus.NOT_CONNECTED or grant.app_mark != mark:
            changed = " since its client was changed" if grant.status == GrantStatus.CONNECTED else ""
            raise SignInFailed(
                f"{holder.name} is not connected to {holder.provider}{changed}: press Connect on its page.", code="not_connected"
            )
    if grant.hold_until is not None and grant.app_mark == mark and (left := (grant.hold_until - timezone.now()).total_seconds()) > 0:
        raise _again(grant.error or f"Signing in at {holder.provider} failed moments ago.", left, grant.status)


def _again(sentence: str, seconds: float, status: str) -> SignInFailed:
    if status == GrantStatus.REVOKED:
        return SignInFailed(sentence, retry_after=seconds)
    return temporary(sentence, retry_after=seconds)


def _take_lease(grant: OAuthGrant) -> uuid.UUID | None:
    token = uuid.uuid4()
    free = OAuthGrant.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), pk=grant.pk, version=grant.version)
    taken = free.update(lease_token=token, lease_until=Now() + timedelta(seconds=LEASE_SECONDS))
    return token if taken else None


def _renew(holder: Holder, grant: OAuthGrant, mark: str, lease: uuid.UUID, *, note_failures: bool) -> Token | None:
    """Ask for new tokens and keep them; None where another has changed the row meanwhile."""
    try:
        answer = _ask(holder, grant)
    except OutboundError as error:
        if note_failures and not _note_failure(holder, grant, mark, error):
            return None  # too late to matter: somebody else renewed or replaced the sign-in
        _free(grant, lease)
        raise
    except BaseException:
        _free(grant, lease)
        raise
    values = _stored(answer, mark)
    if holder.app.flow == OAuthFlow.AUTHORIZATION_CODE and answer.refresh_token:
        values["refresh_token"] = answer.refresh_token  # in the statement that replaces the access token: both or none
    version = grant.version + 1
    stored = OAuthGrant.objects.filter(pk=grant.pk, version=grant.version).update(version=version, **values)
    return Token(answer.access_token, version) if stored else None


def _ask(holder: Holder, grant: OAuthGrant) -> TokenAnswer:
    request = renewal_request(holder.app, text_of(grant.refresh_token))
    if request is None:
        raise GrantGoneError(
            f"The sign-in at {holder.provider} has run out, and it gave no refresh token. Connect the integration again, "
            "and ask for lasting access (often the scope offline_access)."
        )
    return ask(holder, request)


def _free(grant: OAuthGrant, lease: uuid.UUID) -> None:
    OAuthGrant.objects.filter(pk=grant.pk, lease_token=lease).update(**_FREE)


def _note_failure(holder: Holder, grant: OAuthGrant, mark: str, error: OutboundError) -> bool:
    """Keep what went wrong, so that nobody asks again at once; False where the row was changed meanwhile."""
    now = timezone.now()
    values: dict[str, Any] = {"error": error.message[:_MOST_ERROR], "updated_at": now, "app_mark": mark, **_FREE}
    refused = isinstance(error, SignInFailed) and error.permanent
    if isinstance(error, GrantGoneError) and holder.app.flow == OAuthFlow.AUTHORIZATION_CODE:
        values |= {"status": GrantStatus.REVOKED, "access_token": None, "refresh_token": None, "version": grant.version + 1}
    else:
        seconds = HOLD_SECONDS if refused else max(SHORT_HOLD_SECONDS, min(error.retry_after or 0.0, HOLD_SECONDS))
        values["hold_until"] = now + timedelta(seconds=seconds)
        if refused and holder.app.flow == OAuthFlow.CLIENT_CREDENTIALS:
            values["status"] = GrantStatus.REVOKED
    return bool(OAuthGrant.objects.filter(pk=grant.pk, version=grant.version).update(**values))


def _stored(answer: TokenAnswer, mark: str) -> dict[str, Any]:
    now = timezone.now()
    return {
        "status": GrantStatus.CONNECTED,
        "access_token": answer.access_token,
        "expires_at": now + timedelta(seconds=usable_seconds(answer.lifetime)) if answer.lifetime else None,
        "scope": answer.scope,
        "app_mark": mark,
        "error": "",
        "hold_until": None,
        "updated_at": now,
        **_FREE,
    }


def usable_seconds(lifetime: int) -> float:
    """Return for how long a token of this lifetime is used."""
    return lifetime - min(MARGIN_SECONDS, lifetime / 5)


def fingerprint(holder: Holder) -> str:
    """Return what differs for different accounts, and stays when a token is renewed."""
    connection = OAuthGrant.objects.filter(pk=holder.id).values_list("connection", flat=True).first()
    return hashlib.sha256(f"{mark_of(holder.app)}:{connection}".encode()).hexdigest()


def text_of(stored: Any) -> str:
    """Return a stored token, "" for none."""
    return stored or ""
