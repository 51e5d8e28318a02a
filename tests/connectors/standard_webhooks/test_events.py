from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
import standardwebhooks

from core import signing
from integrations.contract.inbound import InboundRequest
from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, STAMP, fixture, mac

pytestmark = pytest.mark.once
SENDER = BY_NAME["standard_webhooks"]


def test_the_published_vector() -> None:
    headers = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
               "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}  # fmt: skip
    request, now = InboundRequest(headers, b'{"test": 2432232314}'), datetime.fromtimestamp(1614265330, UTC)
    for secret in ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"):
        assert SENDER.receiver.verify(request, [secret], {}, now).dedupe_id == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_what_this_portal_signs_is_taken() -> None:
    secret = signing.new_secret()
    signature = signing.sign(secret, "msg_1", STAMP, SENDER.body)
    assert SENDER.receiver.verify(SENDER.request(webhook_signature=signature), [secret], {}, NOW)


def test_the_reference_library_agrees_with_the_sender_of_these_tests() -> None:
    """What the table of hostile requests is made with is right by another's word."""
    now = datetime.now(UTC)
    request = SENDER.request(stamp=int(now.timestamp()))
    standardwebhooks.Webhook(SENDER.secrets[0]).verify(request.body, dict(request.headers))


def test_a_secret_longer_than_a_block_is_hashed_as_hmac_says() -> None:
    key = bytes(range(100))
    signature = "v1," + base64.b64encode(mac(key, b"msg_1.%d.%s" % (STAMP, SENDER.body))).decode()
    secret = "whsec_" + base64.b64encode(key).decode()
    assert SENDER.receiver.verify(SENDER.request(webhook_signature=signature), [secret], {}, NOW)


def test_an_event_keeps_its_senders_name() -> None:
    for name in ("standard_webhooks", "svix", "ed25519"):
        (event,) = BY_NAME[name].events(fixture("standard_webhooks", "contact_created"))
        assert event.type == "inbound.standard_webhooks.contact.created"
        assert event.occurred_at == datetime(2026, 5, 4, 11, 0, 0, 123_000, tzinfo=UTC)
