"""A strict OAuth2 provider with a service behind it, on a real socket of this machine: PKCE, rotation, revocation."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.serving import QuietHandler, serving

CLIENT, SECRET = "repoguard", "client-secret-91af"


@dataclass
class Provider:
    """What it gave out and what it was asked; change the attributes to make it behave otherwise."""

    url: str = ""
    lifetime: int | None = 3600
    delay: float = 0.0
    rotates: bool = True
    gives_refresh: bool = True
    refuse: dict[str, Any] | None = None
    """What the token endpoint answers instead of tokens: {"status": 400, "error": …}."""
    access: set[str] = field(default_factory=set)
    refresh: set[str] = field(default_factory=set)
    used_refresh: set[str] = field(default_factory=set)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    grants: list[dict[str, str]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    served: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def sign_in(self, address: str, **change: str) -> str:
        """Agree as the person would; returns the address that the provider sends the browser back to."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(12)
        self.codes[code] = {"challenge": asked["code_challenge"], "redirect_uri": asked["redirect_uri"], "client_id": asked["client_id"]}
        answer = {"code": code, "state": asked["state"]} | change
        return f"{asked['redirect_uri']}?{urlencode({name: value for name, value in answer.items() if value})}"

    def revoke_everything(self) -> None:
        """Forget every token, as when the person withdraws the consent."""
        with self.lock:
            self.access.clear()
            self.refresh.clear()

    def token(self, form: dict[str, str], client: tuple[str, str]) -> tuple[int, dict[str, Any]]:
        """Answer the token endpoint."""
        time.sleep(self.delay)
        with self.lock:
            self.grants.append(form)
            if self.refuse:
                return self.refuse.get("status", 400), {name: value for name, value in self.refuse.items() if name != "status"}
            if client != (CLIENT, SECRET):
                return 401, {"error": "invalid_client"}
            return self._grant(form)

    def _grant(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        kind = form.get("grant_type")
        if kind == "authorization_code":
            known = self.codes.pop(form.get("code", ""), None)
            digest = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).rstrip(b"=").decode()
            if known is None or known["challenge"] != digest or known["redirect_uri"] != form.get("redirect_uri"):
                return 400, {"error": "invalid_grant", "error_description": "The code is not good."}
        elif kind == "refresh_token":
            token = form.get("refresh_token", "")
            if token not in self.refresh:
                return 400, {"error": "invalid_grant", "error_description": "The consent was withdrawn."}
            if self.rotates:
                self.refresh.discard(token)
                self.used_refresh.add(token)
        elif kind != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        access, refresh = f"access-{secrets.token_hex(8)}", f"refresh-{secrets.token_hex(8)}"
        self.access.add(access)
        answer: dict[str, Any] = {"access_token": access, "token_type": "Bearer", "scope": form.get("scope", "read")}
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        if kind != "client_credentials" and self.gives_refresh and (kind == "authorization_code" or self.rotates):
            self.refresh.add(refresh)
            answer["refresh_token"] = refresh
        return 200, answer


def _handler(provider: Provider) -> type[QuietHandler]:
    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            if self.path == "/token":
                basic = self.headers.get("Authorization", "").partition(" ")[2]
                pair = (
                    base64.b64decode(basic).decode().partition(":")
                    if basic
                    else (form.get("client_id", ""), "", form.get("client_secret", ""))
                )
                self._say(*provider.token(form, (pair[0], pair[2])))
            else:
                provider.revoked.append(form.get("token", ""))
                provider.access.discard(form.get("token", ""))
                self._say(200, {})

        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").partition(" ")[2]
            provider.served.append(token)
            self._say(*((200, {"who": "portal"}) if token in provider.access else (401, {"error": "invalid_token"})))

        def _say(self, status: int, answer: dict[str, Any]) -> None:
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


@contextlib.contextmanager
def providing() -> Iterator[Provider]:
    """Listen on 127.0.0.1 for as long as the block runs."""
    provider = Provider()
    with serving(_handler(provider)) as provider.url:
        yield provider


def oauth_config(url: str, flow: str, **more: Any) -> dict[str, Any]:
    """Return what an integration is configured with to sign in at a provider."""
    by_hand = {"oauth_authorize_url": f"{url}/authorize"} if flow == "oauth2_authorization_code" else {}
    return {
        "auth": flow,
        "oauth_token_url": f"{url}/token",
        "oauth_client_id": CLIENT,
        "oauth_client_auth": "client_secret_basic",
        "oauth_scopes": ["read"],
        **by_hand,
        **more,
    }
