"""Signing in by hand: a person is sent to the provider and comes back with a code, once, within minutes, to the same session."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from access import audit
from access.choices import AuditVerb
from core.errors import Conflict, InvalidInput, OutboundError
from core.http.guard import check_url
from integrations.choices import GrantStatus
from integrations.contract.signin import OAuthApp, OAuthFlow
from integrations.models import Integration, OAuthGrant, OAuthRequest
from integrations.oauth import grants
from integrations.oauth.apps import app_of, holder_of
from integrations.oauth.exchange import ask, give_up, refused
from integrations.oauth.protocol import Refusal, authorize_address, code_request, revocation_request

MINUTES = 10
CALLBACK = "/oauth/callback"
_AGAIN = "Press Connect on the integration's page to start again."
_LONGEST_CODE = 4000


@dataclass(frozen=True)
class Started:
    """A sign-in under way: `address` is where the person goes; `id` belongs into their session."""

    id: uuid.UUID
    address: str = field(repr=False)


class SignInRefusedError(InvalidInput):
    """A sign-in that came to nothing; `integration_id` says of which integration, where that is known and the person may see it."""

    code = "sign_in_refused"

    def __init__(self, message: str, integration_id: uuid.UUID | None = None) -> None:
        super().__init__(message)
        self.integration_id = integration_id


def redirect_uri() -> str:
    """Return the address to register with the provider: where people come back to."""
    return settings.PUBLIC_URL.rstrip("/") + CALLBACK


def start(integration: Integration, user: User) -> Started:
    """Begin a sign-in. Raises Conflict where the integration is not connected by hand, InvalidInput for an unusable address."""
    app = _app(integration)
    check_url(app.authorize_url, "oauth_authorize_url")
    state, verifier, uri = secrets.token_urlsafe(32), secrets.token_urlsafe(48), redirect_uri()
    request = OAuthRequest.objects.create(
        state_hash=hash_of(state),
        integration=integration,
        user=user,
        code_verifier=verifier,
        redirect_uri=uri,
        app_mark=grants.flow_mark_of(app),
        expires_at=timezone.now() + timedelta(minutes=MINUTES),
    )
    return Started(request.id, authorize_address(app, uri, state, verifier))


def claim(state: str, user: User, session_ids: Collection[str]) -> OAuthRequest:
    """Take the sign-in that a state belongs to, once. Raises SignInRefusedError; the sentence is the same for whatever is not theirs."""
    unknown = SignInRefusedError(f"This sign-in is not known here: it was used already, or began in another browser. {_AGAIN}")
    rows = OAuthRequest.objects.select_related("integration").defer("integration__credentials", "integration__previous_credentials")
    row = rows.filter(state_hash=hash_of(state)).first()
    if row is None or row.user_id != user.pk or str(row.id) not in session_ids:
        raise unknown
    if not OAuthRequest.objects.filter(pk=row.pk).delete()[0]:
        raise unknown
    if row.expires_at < timezone.now():
        raise SignInRefusedError(f"This sign-in took longer than {MINUTES} minutes. {_AGAIN}", row.integration_id)
    return row


def finish(request: OAuthRequest, parameters: Mapping[str, str], user: User) -> OAuthGrant:
    """Change the code that came back into tokens, and keep them; no transaction may be open.

    Raises SignInRefusedError with what the provider said, in words, and where the client was changed since the person was sent:
    the code is another client's, and belongs to nobody else.
    """
    integration = request.integration
    app = _app(integration)
    if not constant_time_compare(request.app_mark, grants.flow_mark_of(app)):
        sentence = f"The client of {integration.name} (its id or one of its addresses) was changed after you pressed Connect. {_AGAIN}"
        raise SignInRefusedError(sentence, integration.id)
    holder = holder_of(integration, app)
    if "error" in parameters:
        refusal = Refusal(parameters["error"][:60], parameters.get("error_description", "")[:300])
        raise SignInRefusedError(refused(holder, refusal).message, integration.id)
    code = parameters.get("code", "")
    if not code or len(code) > _LONGEST_CODE:
        raise SignInRefusedError(f"{holder.provider} sent neither a code nor an error. {_AGAIN}", integration.id)
    try:
        answer = ask(holder, code_request(app, code, request.redirect_uri, request.code_verifier))
    except OutboundError as error:
        raise SignInRefusedError(error.message, integration.id) from None
    with transaction.atomic():
        grant = grants.store_connection(holder, answer, user.get_username())
        # after the grant's lock, as everywhere: whoever deletes the integration holds this row, and its tokens must not outlive it
        if not Integration.objects.select_for_update(no_key=True, of=("self",)).filter(pk=integration.pk).values("pk"):
            raise SignInRefusedError(f"{integration.name} was deleted while you signed in.", integration.id)
        audit.record(AuditVerb.ACTED, integration, action="connect", changes={"scope": ["", grant.scope]})
    return grant


def disconnect(integration: Integration) -> list[str]:
    """Forget the tokens; returns those that the provider should be told about, by tell_provider(), once this is committed.

    Raises Conflict where nothing is connected.
    """
    with transaction.atomic():
        grant = OAuthGrant.objects.select_for_update().filter(pk=integration.pk).first()
        if grant is None or grant.status == GrantStatus.NOT_CONNECTED:
            raise Conflict(f"{integration.name} is not connected.")
        tokens = [grants.text_of(grant.refresh_token), grants.text_of(grant.access_token)]
        grants.clear(integration.pk)
        OAuthRequest.objects.filter(integration=integration).delete()
        audit.record(AuditVerb.ACTED, integration, action="disconnect")
    return tokens


def tell_provider(integration: Integration, tokens: list[str]) -> str:
    """Give tokens up at the provider, where it has an address for that; returns what went wrong, "" for nothing."""
    app = app_of(integration)
    if app is None or not app.revoke_url:
        return ""
    holder = holder_of(integration, app)
    try:
        for kind, token in zip(("refresh_token", "access_token"), tokens, strict=True):
            if token:
                give_up(holder, revocation_request(app, token, kind))
    except OutboundError as error:
        return f"{holder.provider} could not be told ({error.message}) Remove the portal's access on its own pages."
    return ""


def hash_of(state: str) -> str:
    """Return how a state is stored; whoever reads the table can't finish a sign-in."""
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()


def _app(integration: Integration) -> OAuthApp:
    app = app_of(integration)
    if app is None or app.flow != OAuthFlow.AUTHORIZATION_CODE:
        raise Conflict(f"{integration.name} is not connected by a person: its configuration says otherwise.", code="not_by_hand")
    return app
