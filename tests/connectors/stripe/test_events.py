from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from core.errors import NotAllowed
from tests.connectors.contract import NOW
from tests.connectors.senders import BY_NAME, STAMP, fixture, mac

pytestmark = pytest.mark.once
SENDER = BY_NAME["stripe"]


def test_an_event_keeps_stripes_name() -> None:
    (event,) = SENDER.events(fixture("stripe", "invoice_paid"))
    assert event.type == "inbound.stripe.invoice.payment_succeeded"
    assert event.data["payload"] == json.loads(fixture("stripe", "invoice_paid"))
    assert event.occurred_at == datetime(2026, 5, 4, 11, tzinfo=UTC)


def test_its_id_names_the_delivery() -> None:
    verified = SENDER.receiver.verify(SENDER.request(fixture("stripe", "invoice_paid")), [SENDER.secrets[0]], {}, NOW)
    assert (verified.dedupe_id, verified.event) == ("evt_1", "invoice.payment_succeeded")


def test_the_key_is_the_whole_text_of_the_secret() -> None:
    """Standard Webhooks decodes what follows whsec_; Stripe does not, though its secrets look the same."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert SENDER.receiver.verify(SENDER.request(secret=secret), [secret], {}, NOW)


def test_only_signatures_of_version_1_count() -> None:
    good = mac(SENDER.secrets[0], b"%d.%s" % (STAMP, SENDER.body)).hex()
    assert SENDER.receiver.verify(SENDER.request(stripe_signature=f"t={STAMP},v1={'0' * 64},v1={good}"), [SENDER.secrets[0]], {}, NOW)
    for header in (f"t={STAMP},v0={good}", f"t={STAMP}", f"v1={good}", f"t={STAMP},t={STAMP},v1={good}"):
        with pytest.raises(NotAllowed):
            SENDER.receiver.verify(SENDER.request(stripe_signature=header), [SENDER.secrets[0]], {}, NOW)
