"""Mails as the delivery engine sends them: threads, committed rows, a real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from core import runtime
from core.bus import publish
from integrations.connectors.email.connector import Email
from integrations.contract.schema import validate_values
from integrations.models import Integration
from tests.connectors.email.sink import smtp
from tests.webhooks.engine_kit import assert_truth, hook
from tests.webhooks.receivers import wait_for
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, WebhookDelivery, WebhookState
from webhooks.services.deliveries import redeliver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
PASSWORD = "Ju5tAs3cret-0f-m1ne"


@pytest.fixture
def engine(settings: Any) -> Iterator[Engine]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.DESTINATION_THREADS = 4
    runtime.forget()
    made = Engine(10)
    made.start()
    made.claim_for(60)
    yield made
    made.stop(0)
    runtime.forget()


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_an_event_is_one_mail_and_its_redelivery_none(engine: Engine) -> None:
    with smtp(password=PASSWORD) as sink:
        values = {"from_address": "repoguard@example.com", "host": "127.0.0.1", "port": sink.port, "security": "none", "username": "me"}
        config, credentials = validate_values(Email, values, {"password": PASSWORD})
        to = Integration.objects.create(name="Mails", type="email", category="communication", config=config, credentials=credentials)
        made = hook(url="", integration=to, destination={"to": ["a@example.com", "b@example.com"]})
        WebhookState.objects.filter(webhook=made).update(calls=True)
        sink.rcpt = {"b@example.com": f"550 no such user {PASSWORD}"}
        publish("custom.a", {"title": "Deploy frozen", "repository": "acme/shop"})
        wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())
        delivery = WebhookDelivery.objects.get()
        assert delivery.status == "success", DeliveryAttempt.objects.get().error
        attempt = DeliveryAttempt.objects.get()
        assert (attempt.outcome, attempt.url) == ("accepted", "E-mail: Mails")
        assert "b@example.com" in attempt.response_body
        assert PASSWORD not in f"{attempt.response_body}{attempt.error}"
        redeliver(delivery)
        wait_for(lambda: DeliveryAttempt.objects.count() == 2)
        wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())
        assert len(sink.mails) == 1
    assert_truth()
