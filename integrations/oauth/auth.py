"""The part of the credentials in a call: puts an integration's access token on the door's requests."""

from __future__ import annotations

from core.http.door import Outgoing, SignInFailed
from integrations.contract.signin import OAuthApp, OAuthFlow
from integrations.models import Integration
from integrations.oauth import grants
from integrations.oauth.apps import holder_of
from integrations.oauth.exchange import ask
from integrations.oauth.protocol import TokenAnswer, client_credentials_request


class OAuthAuth:
    """Implements core.http.door.Auth. A `trial` (a draft, new credentials) gets a token of its own that nobody keeps."""

    def __init__(self, integration: Integration, app: OAuthApp, *, trial: bool = False) -> None:
        self._app = app
        self._stored, self._trial = not integration._state.adding, trial or integration._state.adding
        self._holder = holder_of(integration, app)
        self._used: grants.Token | None = None
        self._own: TokenAnswer | None = None

    def __repr__(self) -> str:
        return f"<OAuthAuth {self._holder.id}>"

    def apply(self, request: Outgoing) -> None:
        """Add the access token, fetched or renewed where there is none that is good. Raises SignInFailed and OutboundError."""
        for name in [name for name in request.headers if name.lower() == "authorization"]:
            del request.headers[name]
        request.headers["Authorization"] = f"Bearer {self._token()}"

    def fingerprint(self) -> str:
        """Return what differs for different accounts, and stays when a token is renewed."""
        return grants.fingerprint(self._holder)

    def refused(self) -> bool:
        """Forget the token that the service refused; True where another may be had."""
        if self._own is not None:
            return False  # it was fetched for this very call
        return self._used is not None and grants.forget(self._holder.id, self._used.version)

    def secrets(self) -> list[str]:
        """Return the client secret and the token in use."""
        own = self._own.access_token if self._own else ""
        used = self._used.text if self._used else ""
        return [text for text in (self._app.client_secret, own, used) if text]

    def _token(self) -> str:
        if self._own is not None:
            return self._own.access_token
        if self._trial and self._app.flow == OAuthFlow.CLIENT_CREDENTIALS:
            self._own = ask(self._holder, client_credentials_request(self._app))
            return self._own.access_token
        if not self._stored:
            raise SignInFailed(f"Save {self._holder.name} first, then press Connect on its page.", code="not_connected")
        self._used = grants.current_token(self._holder, note_failures=not self._trial)
        return self._used.text
