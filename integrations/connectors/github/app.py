"""Signing in as a GitHub App: a short-lived JWT, signed with the app's key, is exchanged for a token of its installation.

The token lives an hour; where it is kept and who renews it is the portal's business, as with any OAuth2 client's.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core.http.door import SignInFailed
from integrations.connectors.github.headers import HEADERS

# GitHub takes at most ten minutes; the start lies back because clocks differ
_BACK_SECONDS, _LIFETIME_SECONDS = 60, 540
_MIN_BITS = 2048


class AppExchange:
    """Asks as one app; see integrations.contract.signin.Exchange."""

    hint = (
        "Check the app id, the installation id and the private key, that the app is still installed and not suspended, and that this"
        " machine's clock is right."
    )

    def __init__(self, app_id: str, private_key: str) -> None:
        self._app_id = app_id
        self._private_key = private_key

    def headers(self) -> Mapping[str, str]:
        """Return the headers that prove the app. Raises SignInFailed for a key that can't sign."""
        return {**HEADERS, "Authorization": f"Bearer {app_jwt(self._app_id, self._private_key, time.time())}"}

    def tokens(self, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return {"token", "expires_at", "permissions"} as OAuth2 would write it."""
        allowed = answer.get("permissions")
        scope = [f"{name}:{level}" for name, level in sorted(allowed.items())] if isinstance(allowed, Mapping) else []
        return {"access_token": answer.get("token"), "expires_in": _seconds_until(answer.get("expires_at")), "scope": scope}


def app_jwt(app_id: str, private_key: str, now: float) -> str:
    """Return a JWT (RS256) that proves the app from now on for nine minutes. Raises SignInFailed for a key that can't sign."""
    key = _load(private_key)
    if key is None:
        raise SignInFailed("The app's private key can't be read. Paste the whole .pem file again.")
    claims = {"iat": int(now) - _BACK_SECONDS, "exp": int(now) + _LIFETIME_SECONDS, "iss": app_id}
    signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signed}.{_base64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def key_error(private_key: str) -> str:
    """Return what is wrong with a private key, "" for a good one; the sentence shows nothing of it."""
    key = _load(private_key)
    if key is None:
        return "is not a PEM file with an RSA key without a password. Paste the whole .pem file that GitHub gave."
    return "" if key.key_size >= _MIN_BITS else f"has fewer than {_MIN_BITS} bits. Make a new one on the app's page."


def _load(private_key: str) -> rsa.RSAPrivateKey | None:
    try:
        key = load_pem_private_key(private_key.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        return None
    return key if isinstance(key, rsa.RSAPrivateKey) else None


def _part(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _seconds_until(moment: object) -> int | None:
    try:
        until = datetime.fromisoformat(str(moment))
        return max(1, int((until - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError):  # TypeError: without a zone
        return None
