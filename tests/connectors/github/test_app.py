"""Signing in as a GitHub App: the JWT, the exchange, and the token that is kept encrypted and renewed once."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from django.db import connection

from core.errors import InvalidInput
from core.http.door import SignInFailed
from core.models import RequestLog
from core.models.outbound import CallPurpose
from integrations.calls import build_connector
from integrations.connectors.github.app import AppExchange, app_jwt, key_error
from integrations.connectors.github.connector import GitHub
from integrations.contract.schema import validate_values
from integrations.models import Integration, OAuthGrant
from tests.connectors.github.test_contract import private_key
from tests.serving import QuietHandler, serving


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


@pytest.mark.once
def test_the_jwt_is_signed_and_short_lived() -> None:
    head, claims, signature = app_jwt("12", private_key(), 1_700_000_000.9).split(".")
    assert decoded(head) == {"alg": "RS256", "typ": "JWT"}
    assert decoded(claims) == {"iat": 1_699_999_940, "exp": 1_700_000_540, "iss": "12"}
    key = load_pem_private_key(private_key().encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    raw = base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
    key.public_key().verify(raw, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.once
def test_keys_that_cant_sign_are_refused_in_words() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    locked = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    texts = [
        "-----BEGIN RSA PRIVATE KEY-----\nnonsense\n-----END RSA PRIVATE KEY-----",
        other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        locked.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")).decode(),
    ]
    for text in texts:
        assert "PEM" in key_error(text)
        with pytest.raises(InvalidInput) as caught:
            validate_values(GitHub, {"auth": "app", "app_id": "1", "installation_id": "2"}, {"private_key": text})
        assert list(caught.value.fields) == ["credentials.private_key"]
        assert text not in caught.value.message
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert "2048" in key_error(weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    with pytest.raises(SignInFailed):
        app_jwt("1", "nonsense", 0)


@pytest.mark.once
def test_the_answer_is_read_as_oauth2_would_write_it() -> None:
    exchange = AppExchange("12", private_key())
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = exchange.tokens({"token": "ghs_x", "expires_at": ends, "permissions": {"actions": "read", "metadata": "read"}})
    assert found["access_token"] == "ghs_x"
    assert found["expires_in"] == pytest.approx(3600, abs=5)
    assert found["scope"] == ["actions:read", "metadata:read"]
    for broken in ({}, {"token": 3, "expires_at": "never", "permissions": "all"}, {"expires_at": "2026-01-01"}):
        assert exchange.tokens(broken)["expires_in"] is None
    assert "PRIVATE" not in repr(exchange)


class Stub(QuietHandler):
    """GitHub as far as an app needs it."""

    tokens: list[str]
    proofs: list[str]
    refuse: int

    def do_POST(self) -> None:
        self.proofs.append(self.headers["Authorization"])
        self.tokens.append(f"ghs_secret{len(self.tokens)}")
        ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {"token": self.tokens[-1], "expires_at": ends, "permissions": {"actions": "read"}}
        self.say(self.refuse or 201, {"message": "no"} if self.refuse else body)

    def do_GET(self) -> None:
        good = self.headers["Authorization"] == f"Bearer {self.tokens[-1]}"
        self.say(200 if good else 401, {"total_count": 2, "repositories": []})

    def say(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def stubbed() -> Iterator[tuple[str, type[Stub]]]:
    handler = type("Own", (Stub,), {"tokens": [], "proofs": [], "refuse": 0})
    with serving(handler) as url:
        yield url, handler


def integration(url: str) -> Integration:
    config = {"api_url": url, "auth": "app", "app_id": "12", "installation_id": "34"}
    return Integration.objects.create(
        name="App", type="github", category="development", config=config, credentials={"private_key": private_key()}
    )


@pytest.fixture(autouse=True)
def _open(settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]


@pytest.mark.django_db(transaction=True)
def test_a_token_is_fetched_once_kept_encrypted_and_used_by_all() -> None:
    with stubbed() as (url, stub):
        row = integration(url)
        for _ in range(3):
            result = build_connector(row, CallPurpose.CHECK).check()  # type: ignore[attr-defined]
            assert "2 repositories" in result.message
        assert len(stub.proofs) == 1
        assert decoded(stub.proofs[0].split(".")[1])["iss"] == "12"
        with connection.cursor() as cursor:
            cursor.execute("SELECT access_token FROM integrations_oauthgrant")
            assert b"ghs_" not in bytes(cursor.fetchone()[0])
        OAuthGrant.objects.update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
        build_connector(row, CallPurpose.CHECK).check()  # type: ignore[attr-defined]
        assert len(stub.proofs) == 2
    shown = str(list(RequestLog.objects.values()))
    assert "ghs_secret" not in shown
    assert not any(proof.partition(" ")[2] in shown for proof in stub.proofs)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_app_is_told_what_to_look_at(status: int) -> None:
    with stubbed() as (url, stub):
        stub.refuse = status
        with pytest.raises(SignInFailed, match="Check the app id, the installation id and the private key") as caught:
            build_connector(integration(url), CallPurpose.CHECK).check()  # type: ignore[attr-defined]
    assert caught.value.permanent
    assert "PRIVATE" not in repr(caught.value)
