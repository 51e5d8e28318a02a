"""The GitHub connector keeps to the contract in each of its forms."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from core.errors import InvalidInput
from core.http.door import SignInFailed
from core.signing import hub_signature_256
from integrations.connectors.github.connector import GitHub
from integrations.contract.inbound import InboundRequest
from integrations.contract.schema import validate_values
from tests.connectors.contract import ConnectorContract, DictMemory, event
from tests.connectors.door import answer

pytestmark = pytest.mark.once
LIMITS = {"x_ratelimit_limit": "5000", "x_ratelimit_remaining": "4987"}


def signed(body: bytes, event: str, secret: str, **headers: str) -> InboundRequest:
    """Return a request as GitHub signs it."""
    own = {"x-github-event": event, "x-github-delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958", "content-type": "application/json"}
    own["x-hub-signature-256"] = hub_signature_256(secret, body)
    return InboundRequest(own | {name.replace("_", "-"): value for name, value in headers.items()}, body)


@cache
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


class Signed(ConnectorContract):
    connector = GitHub
    sent_answers = (answer(b"", 204),)

    def request(self) -> InboundRequest:
        body = b'{"action": "opened", "repository": {"full_name": "acme/shop"}}'
        return signed(body, "issues", self.secret())


class TestToken(Signed):
    good_answers = (answer({"login": "octocat"}, **LIMITS),)


class TestApp(Signed):
    good_answers = (answer({"total_count": 3, "repositories": []}, **LIMITS),)

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        config = {"auth": "app", "app_id": "12", "installation_id": "34"}
        return validate_values(GitHub, config, {"private_key": private_key()})


class TestNobody(Signed):
    test_a_delivery_that_meets_another_at_work_holds_nothing_up = None  # nobody is ever at work who may not write
    good_answers = (answer({"resources": {}}, x_ratelimit_limit="60", x_ratelimit_remaining="57"),)

    def values(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return validate_values(GitHub, {"auth": "none"}, {})

    def options(self) -> dict[str, Any]:
        with pytest.raises(InvalidInput, match="signed in with nothing"):
            super().options()
        return {"action": "repository_dispatch"}

    def test_telling_it_twice_makes_no_second_thing(self) -> None:
        with pytest.raises(SignInFailed, match="signed in with nothing"):
            self.made(*self.sent_answers).send(event(), self.options(), DictMemory())
