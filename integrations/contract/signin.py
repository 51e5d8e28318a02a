"""How an integration signs in by OAuth2: what its configuration says about it. The flows themselves are made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class OAuthFlow(StrEnum):
    """How a token is obtained."""

    CLIENT_CREDENTIALS = "client_credentials"
    AUTHORIZATION_CODE = "authorization_code"


class ClientAuth(StrEnum):
    """How the portal shows the provider who it is (RFC 6749, section 2.3.1)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    NONE = "none"


class Exchange(Protocol):
    """A provider's own way to a token of the portal itself, such as a GitHub App's; `repr` must not show its key."""

    hint: str
    """The sentence that says what to look at when the provider refuses."""

    def headers(self) -> Mapping[str, str]:
        """Return what proves who asks, made anew for each request. They are secret."""

    def tokens(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the provider's answer in the words of OAuth2: access_token, expires_in (seconds), scope."""


@dataclass(frozen=True)
class OAuthApp:
    """The portal as an OAuth2 client of one provider. `authorize_url` is "" where nobody signs in by hand."""

    flow: OAuthFlow
    token_url: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    authorize_url: str = ""
    scopes: tuple[str, ...] = ()
    audience: str = ""
    client_auth: ClientAuth = ClientAuth.BASIC
    place: str = ""
    """Where its tokens are sent, as scheme and host: tokens that were issued for one place are not used at another."""
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the address that the user is sent to, such as access_type=offline."""
    revoke_url: str = ""
    """Where tokens are given up (RFC 7009); "" where the provider has no such address."""
    exchange: Exchange | None = field(default=None, repr=False, compare=False)
    """How a token is asked for at `token_url` where the provider does not do it as OAuth2 says; with the flow CLIENT_CREDENTIALS."""
