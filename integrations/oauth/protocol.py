"""The words of OAuth2: the requests of a client and what may be believed of the answers. Pure; Authlib knows the details."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from authlib.oauth2.auth import ClientAuth as ClientHeader
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7009 import prepare_revoke_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from integrations.contract.signin import ClientAuth, Exchange, OAuthApp, OAuthFlow

FORM = "application/x-www-form-urlencoded"
LONGEST_SCOPE = 1000
LONGEST_LIFETIME = 10 * 365 * 86_400
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_WORD = re.compile(r"[a-z0-9_.-]{1,60}", re.IGNORECASE)
_ERROR = re.compile(r'"error"\s*:\s*"([A-Za-z0-9_.-]{1,60})"')
_DESCRIPTION = re.compile(r'"error_description"\s*:\s*"([^"\\]{1,300})')


class UnusableAnswerError(Exception):
    """An answer of a token endpoint that holds no usable token; the text says why, without showing any of it."""


@dataclass(frozen=True)
class FormRequest:
    """A POST to the provider. It holds secrets: nothing of it is shown."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class TokenAnswer:
    """Tokens as the provider gave them; `lifetime` in seconds, None where it does not say."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    lifetime: int | None = None
    scope: str = ""


@dataclass(frozen=True)
class Refusal:
    """What the provider said instead of giving a token: its error code and its own words, either may be empty."""

    code: str
    description: str = ""


def authorize_address(app: OAuthApp, redirect_uri: str, state: str, verifier: str) -> str:
    """Return where a person is sent to sign in. The code that comes back is worth nothing without `verifier` (PKCE, S256)."""
    more = {**app.authorize_params, "code_challenge": create_s256_code_challenge(verifier), "code_challenge_method": "S256"}
    if app.audience:
        more["audience"] = app.audience
    return str(prepare_grant_uri(app.authorize_url, app.client_id, "code", redirect_uri, list(app.scopes) or None, state, **more))


def client_credentials_request(app: OAuthApp) -> FormRequest:
    """Return the request for a token of the portal itself."""
    if app.exchange is not None:
        proof = app.exchange.headers()
        return FormRequest(app.token_url, proof, b"", (app.client_secret, *(value.partition(" ")[2] or value for value in proof.values())))
    return _token_request(app, "client_credentials", scope=" ".join(app.scopes), audience=app.audience)


def code_request(app: OAuthApp, code: str, redirect_uri: str, verifier: str) -> FormRequest:
    """Return the request that changes a code into tokens."""
    return _token_request(app, "authorization_code", (code, verifier), redirect_uri, code=code, code_verifier=verifier)


def refresh_request(app: OAuthApp, refresh_token: str) -> FormRequest:
    """Return the request for new tokens."""
    return _token_request(app, "refresh_token", (refresh_token,), refresh_token=refresh_token)


def revocation_request(app: OAuthApp, token: str, kind: str) -> FormRequest:
    """Return the request that gives a token up; `kind` is refresh_token or access_token."""
    body, _ = prepare_revoke_token_request(token, kind)
    return _signed(app, app.revoke_url, body, (token,))


def renewal_request(app: OAuthApp, refresh_token: str) -> FormRequest | None:
    """Return what is asked when the access token has run out; None where only a person can help."""
    if app.flow == OAuthFlow.CLIENT_CREDENTIALS:
        return client_credentials_request(app)
    return refresh_request(app, refresh_token) if refresh_token else None


def _token_request(app: OAuthApp, grant: str, secrets: tuple[str, ...] = (), redirect_uri: str = "", **fields: str) -> FormRequest:
    return _signed(app, app.token_url, prepare_token_request(grant, redirect_uri=redirect_uri or None, **fields), secrets)


def _signed(app: OAuthApp, url: str, body: str, secrets: tuple[str, ...]) -> FormRequest:
    method = app.client_auth if app.client_secret else ClientAuth.NONE
    headers = {"Content-Type": FORM, "Accept": "application/json"}
    url, headers, body = ClientHeader(app.client_id, app.client_secret, str(method)).prepare("POST", url, headers, body)
    basic = headers.get("Authorization", "").partition(" ")[2]
    known = tuple(text for text in (app.client_secret, basic, *secrets) if text)
    return FormRequest(url, headers, body.encode(), known)


def parse_tokens(body: bytes, exchange: Exchange | None = None) -> TokenAnswer | Refusal:
    """Return what a token endpoint answered with a good status; some refuse with 200. Raises UnusableAnswerError."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise UnusableAnswerError("it is not JSON") from None
    if not isinstance(answer, dict):
        raise UnusableAnswerError("it is not a JSON object")
    if exchange is not None:
        answer = dict(exchange.tokens(answer))
    if "access_token" not in answer and isinstance(answer.get("error"), str):
        return _refusal(answer)
    kind = answer.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise UnusableAnswerError("its token_type is not Bearer, the only one that is supported")
    access, refresh, scope = answer.get("access_token"), answer.get("refresh_token"), answer.get("scope")
    if not _is_token(access):
        raise UnusableAnswerError("its access_token is missing, too long, or holds characters that can't be sent")
    if refresh and not _is_token(refresh):
        raise UnusableAnswerError("its refresh_token is not a text that could be sent again")
    words = scope if isinstance(scope, str) else " ".join(map(str, scope)) if isinstance(scope, list) else ""
    return TokenAnswer(str(access), str(refresh or ""), _lifetime(answer.get("expires_in")), words[:LONGEST_SCOPE])


def parse_refusal(body: bytes) -> Refusal:
    """Return the error that a refusing answer names, as far as it can be read; its body may have been cut or masked."""
    text = body.decode("utf-8", "replace")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        code, words = _ERROR.search(text), _DESCRIPTION.search(text)
        return Refusal(code[1] if code else "", words[1] if words else "")
    return _refusal(answer) if isinstance(answer, dict) else Refusal("")


def _refusal(answer: Mapping[str, Any]) -> Refusal:
    code, words = answer.get("error"), answer.get("error_description")
    return Refusal(code if isinstance(code, str) and _WORD.fullmatch(code) else "", words[:300] if isinstance(words, str) else "")


def _is_token(value: object) -> bool:
    return isinstance(value, str) and bool(_TOKEN.fullmatch(value))


def _lifetime(value: object) -> int | None:
    try:
        seconds = int(float(value)) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_LIFETIME) if seconds > 0 else None
