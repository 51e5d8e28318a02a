"""Signing in with what is configured: the fields that connectors share, and what puts static credentials on a request.

A connector for any service takes AUTH_FIELDS over and returns `configured_auth(config, credentials)` from its `auth`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.db import models
from django.utils.crypto import salted_hmac

from core.http.door import Auth, NoAuth, Outgoing
from integrations.contract.connector import ExtraHeaders
from integrations.contract.fields import Field, FieldKind
from integrations.contract.headers import name_error
from integrations.contract.signin import ClientAuth, OAuthApp, OAuthFlow


class AuthKind(models.TextChoices):
    """Ways to sign in."""

    NONE = "none", "No credentials"
    BASIC = "basic", "User name and password (Basic)"
    BEARER = "bearer", "Token (Bearer)"
    API_KEY = "api_key", "API key"
    OAUTH2_CLIENT_CREDENTIALS = "oauth2_client_credentials", "OAuth2: the portal signs in for itself (client credentials)"
    OAUTH2_AUTHORIZATION_CODE = "oauth2_authorization_code", "OAuth2: a person connects it (authorization code)"


class Place(models.TextChoices):
    """Where an API key goes."""

    HEADER = "header", "in a header"
    QUERY = "query", "in the query of the address"


_OAUTH2 = (AuthKind.OAUTH2_CLIENT_CREDENTIALS.value, AuthKind.OAUTH2_AUTHORIZATION_CODE.value)
_PRINTABLE = r"[\x20-\x7e]+"
_TOKEN = r"[\x21-\x7e]+"  # noqa: S105 - the form of a token

AUTH_FIELDS: tuple[Field, ...] = (
    Field("auth", "Sign-in", FieldKind.CHOICE, choices=tuple(AuthKind.choices), default=AuthKind.NONE.value,
          help="How the portal shows the service who calls."),
    Field("username", "User name", required=True, max_length=200, pattern=r"[^:]+", example="repoguard", only_if=("auth", ("basic",))),
    Field("password", "Password", secret=True, max_length=1000, help="May be empty where the service takes a key as user name.",
          only_if=("auth", ("basic",))),
    Field("token", "Token", secret=True, required=True, max_length=8000, pattern=_TOKEN, help="Sent as Authorization: Bearer ….",
          example="an-access-token", only_if=("auth", ("bearer",))),
    Field("api_key_in", "Where the API key goes", FieldKind.CHOICE, choices=tuple(Place.choices), default=Place.HEADER.value,
          help="Prefer a header: addresses end up in logs of the service and of proxies.", only_if=("auth", ("api_key",))),
    Field("api_key_name", "Name of the header or parameter", default="X-API-Key", max_length=100, pattern=r"[!#$%&'*+.^_`|~0-9A-Za-z-]+",
          only_if=("auth", ("api_key",))),
    Field("api_key_prefix", "Word before the API key", max_length=30, pattern=_TOKEN, placeholder="Token",
          help="For services that want Authorization: Token <key>.", only_if=("auth", ("api_key",))),
    Field("api_key", "API key", secret=True, required=True, max_length=8000, pattern=_PRINTABLE, example="an-api-key",
          only_if=("auth", ("api_key",))),
    Field("oauth_authorize_url", "Authorization URL", FieldKind.URL, required=True, placeholder="https://login.example.com/oauth2/authorize",
          help="Where a person is sent to connect it.", only_if=("auth", _OAUTH2[1:])),
    Field("oauth_token_url", "Token URL", FieldKind.URL, required=True, placeholder="https://login.example.com/oauth2/token",
          only_if=("auth", _OAUTH2)),
    Field("oauth_client_id", "Client id", required=True, max_length=500, pattern=_PRINTABLE, example="repoguard",
          help="Of the portal, as registered with the provider.", only_if=("auth", _OAUTH2)),
    Field("oauth_client_secret", "Client secret", secret=True, max_length=2000, pattern=_PRINTABLE,
          help="Empty only for public clients, which prove themselves by PKCE.", only_if=("auth", _OAUTH2)),
    Field("oauth_client_auth", "How the client secret is sent", FieldKind.CHOICE,
          choices=((ClientAuth.BASIC.value, "in a header (Basic)"), (ClientAuth.POST.value, "in the body")),
          default=ClientAuth.BASIC.value, only_if=("auth", _OAUTH2)),
    Field("oauth_scopes", "Scopes", FieldKind.WORDS, max_length=200, pattern=r"[\x21\x23-\x5b\x5d-\x7e]+",
          help="What the token is asked to allow.", only_if=("auth", _OAUTH2)),
    Field("oauth_audience", "Audience", max_length=500, pattern=_PRINTABLE, help="Where the provider asks for one.",
          only_if=("auth", _OAUTH2)),
)  # fmt: skip


def configured_auth(config: Mapping[str, Any], credentials: Mapping[str, Any], url: str) -> Auth | OAuthApp:
    """Return what AUTH_FIELDS say, from checked values; `url` is the address of the service that is signed in to."""
    return oauth_app(config, credentials, url) or static_auth(config, credentials)


def auth_errors(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the values of AUTH_FIELDS beyond their own rules, by field."""
    kind = config.get("auth")
    if kind == AuthKind.API_KEY and config["api_key_in"] == Place.HEADER and (sentence := name_error(config["api_key_name"])):
        return {"api_key_name": [sentence]}
    if kind == AuthKind.OAUTH2_CLIENT_CREDENTIALS and not credentials.get("oauth_client_secret"):
        return {"oauth_client_secret": ["is required: nobody else proves who the portal is."]}
    return {}


def is_oauth2(config: Mapping[str, Any]) -> bool:
    """Say whether a token is needed that only the portal can fetch."""
    return config.get("auth") in _OAUTH2


def static_auth(config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Auth:
    """Return what puts credentials on a request that need no call to be had; none for OAuth2."""
    kind = config.get("auth")
    if kind == AuthKind.BASIC:
        return BasicAuth(config["username"], credentials.get("password", ""))
    if kind == AuthKind.BEARER:
        return HeaderAuth("Authorization", credentials["token"], "Bearer")
    if kind == AuthKind.API_KEY:
        if config.get("api_key_in") == Place.QUERY:
            return QueryAuth(config["api_key_name"], credentials["api_key"])
        return HeaderAuth(config["api_key_name"], credentials["api_key"], config.get("api_key_prefix", ""))
    return NoAuth()


def oauth_app(config: Mapping[str, Any], credentials: Mapping[str, Any], url: str) -> OAuthApp | None:
    """Return how the portal signs in by OAuth2 to the service at `url`, None where it does not."""
    if not is_oauth2(config):
        return None
    by_hand = config["auth"] == AuthKind.OAUTH2_AUTHORIZATION_CODE
    return OAuthApp(
        flow=OAuthFlow.AUTHORIZATION_CODE if by_hand else OAuthFlow.CLIENT_CREDENTIALS,
        token_url=config["oauth_token_url"],
        client_id=config["oauth_client_id"],
        client_secret=credentials.get("oauth_client_secret", ""),
        authorize_url=config["oauth_authorize_url"] if by_hand else "",
        scopes=tuple(config.get("oauth_scopes", ())),
        audience=config.get("oauth_audience", ""),
        place="{0.scheme}://{0.netloc}".format(urlsplit(url)),
        client_auth=ClientAuth(config.get("oauth_client_auth", ClientAuth.BASIC)),
    )


class _StaticAuth:
    """Credentials that stay as they are: nothing helps when they are refused but new ones."""

    def __init__(self, *secrets: str, place: str = "") -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._place = place

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def apply(self, request: Outgoing) -> None:
        """Add the credentials."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Return a keyed hash of the credentials."""
        return _keyed("\0".join([type(self).__name__, self._place, *self._secrets]))

    def refused(self) -> bool:
        """Say that nothing can be done."""
        return False

    def secrets(self) -> list[str]:
        """Return the secrets, also in the form in which they are sent."""
        return list(self._secrets)


class BasicAuth(_StaticAuth):
    """User name and password (RFC 7617, UTF-8)."""

    def __init__(self, username: str, password: str) -> None:
        self._encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
        # where the password is empty, the user name is the key
        super().__init__(password or username, self._encoded)

    def apply(self, request: Outgoing) -> None:
        """Add the header."""
        request.headers["Authorization"] = f"Basic {self._encoded}"


class HeaderAuth(_StaticAuth):
    """A token in a header, after a word where the service wants one."""

    def __init__(self, name: str, value: str, word: str = "") -> None:
        super().__init__(value, place=f"{name}: {word}")
        self._name, self._value = name, f"{word} {value}" if word else value

    def apply(self, request: Outgoing) -> None:
        """Set the header."""
        _set_header(request, self._name, self._value)


class QueryAuth(_StaticAuth):
    """A key in the query of the address."""

    def __init__(self, name: str, value: str) -> None:
        super().__init__(value, place=name)
        self._name, self._value = name, value

    def apply(self, request: Outgoing) -> None:
        """Set the parameter, in place of one of the same name."""
        request.params = [(name, value) for name, value in request.params if name != self._name] + [(self._name, self._value)]


@dataclass(frozen=True)
class CarriedByLibrary(NoAuth):
    """Credentials that a client library puts on its requests: the door knows them to keep them out of its log."""

    texts: tuple[str, ...] = field(repr=False)

    def secrets(self) -> list[str]:
        """Return them."""
        return list(self.texts)


class WithHeaders:
    """Another way to sign in, and configured headers over it."""

    def __init__(self, inner: Auth, headers: ExtraHeaders) -> None:
        self._inner, self._headers = inner, headers

    def __repr__(self) -> str:
        return f"<WithHeaders {self._inner!r}>"

    def apply(self, request: Outgoing) -> None:
        """Set the headers, then what the other adds."""
        for name, value in {**self._headers.open, **self._headers.secret}.items():
            _set_header(request, name, value)
        self._inner.apply(request)

    def fingerprint(self) -> str:
        """Return a keyed hash over the headers and the other's fingerprint."""
        parts = [*map("=".join, sorted({**self._headers.open, **self._headers.secret}.items())), self._inner.fingerprint()]
        return _keyed("\0".join(parts))

    def refused(self) -> bool:
        """Leave it to the other."""
        return self._inner.refused()

    def secrets(self) -> list[str]:
        """Return the other's secrets and the values of the secret headers."""
        return [*self._inner.secrets(), *filter(None, self._headers.secret.values())]


def dressed(auth: Auth, headers: ExtraHeaders) -> Auth:
    """Return `auth` with the headers over it, itself where there are none."""
    return WithHeaders(auth, headers) if headers.open or headers.secret else auth


def _set_header(request: Outgoing, name: str, value: str) -> None:
    """Set a header in place of one that differs from it in capitals only."""
    for other in [other for other in request.headers if other.lower() == name.lower()]:
        del request.headers[other]
    request.headers[name] = value


def _keyed(text: str) -> str:
    """Return a hash that nobody can guess short secrets from without the portal's key."""
    return salted_hmac("repoguard.auth", text, algorithm="sha256").hexdigest()
