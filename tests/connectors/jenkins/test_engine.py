"""Deliveries to Jenkins as the engine makes them: from the event to the result of the build."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core import runtime, work
from core.bus import publish
from core.models import RequestLog
from integrations.models import Integration
from tests.connectors import told
from tests.connectors.jenkins.stub import API_TOKEN, GWT_TOKEN, HMAC_SECRET, USER, Jenkins, running
from tests.webhooks.engine_kit import assert_truth, hook
from tests.webhooks.receivers import wait_for
from webhooks.destinations import follow
from webhooks.destinations.memory import RESERVED_FOR
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, DestinationMemory, FollowUp, WebhookDelivery, WebhookState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
SECRETS = (API_TOKEN, GWT_TOKEN, HMAC_SECRET)


@pytest.fixture
def jenkins(settings: Any) -> Iterator[Jenkins]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.PUBLIC_URL = "https://portal.example.com/"
    runtime.forget()
    engine = Engine(10)
    with running() as state:
        engine.start()
        engine.claim_for(60)
        yield state
    engine.stop(0)
    runtime.forget()


def routed(jenkins: Jenkins, options: dict[str, Any]) -> None:
    config = {"base_url": jenkins.base, "auth": "token", "username": USER, "gwt_hmac_header": "X-Hub-Signature-256"}
    credentials = {"api_token": API_TOKEN, "gwt_token": GWT_TOKEN, "gwt_hmac_secret": HMAC_SECRET}
    row = Integration.objects.create(name="CI", type="jenkins", category="development", config=config, credentials=credentials)
    made = hook(url="", integration=row, destination=options, events=["gate.failed"])
    WebhookState.objects.filter(webhook=made).update(calls=True)


def delivered() -> WebhookDelivery:
    wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())
    return WebhookDelivery.objects.get()


def polled() -> FollowUp:
    FollowUp.objects.update(run_after=timezone.now() - timedelta(seconds=1))
    work.run_due(FollowUp, follow.run, seconds=5)
    return FollowUp.objects.get()


def test_an_event_becomes_a_build_that_is_followed_to_its_result(jenkins: Jenkins) -> None:
    routed(jenkins, {"trigger": "build_with_parameters", "job": "acme/shop", "parameters": {"COMMIT": "{commit}"}})
    event = publish("gate.failed", dict(told.example("gate.failed").data))
    assert delivered().status == "success"
    assert polled().label == "build in the queue"
    jenkins.begin(100)
    jenkins.end("SUCCESS")
    found = polled()
    assert (found.label, found.result, found.link) == ("build #812", "passed", f"{jenkins.base}/job/acme/job/shop/812/")
    (parameters,) = [action["parameters"] for action in jenkins.queue[100]["actions"] if action]
    assert {"name": "REPOGUARD_EVENT", "value": str(event.id)} in parameters
    assert_truth()


def test_killed_between_call_and_note_it_begins_no_second_build(jenkins: Jenkins) -> None:
    routed(jenkins, {"trigger": "build_with_parameters", "job": "acme/shop", "parameters": {"COMMIT": "{commit}"}})
    publish("gate.failed", dict(told.example("gate.failed").data))
    delivery = delivered()
    # as a worker leaves it that was killed after Jenkins took the build: reserved, and the delivery due again
    DestinationMemory.objects.update(external_id="", data={"holder": str(delivery.id)}, updated_at=timezone.now() - RESERVED_FOR)
    from webhooks import services

    services.redeliver(delivery)
    wait_for(lambda: DeliveryAttempt.objects.count() == 2)
    wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())
    assert len(jenkins.posts) == 1
    assert DestinationMemory.objects.get().external_id == "queue item 100"


def test_no_log_holds_what_the_plugin_repeats_of_a_request(jenkins: Jenkins) -> None:
    jenkins.demands_hmac = True
    routed(jenkins, {"trigger": "generic_webhook"})
    Integration.objects.update(config=Integration.objects.get().config | {"gwt_hmac_header": "X-Another"})
    publish("gate.failed", dict(told.example("gate.failed").data))
    assert delivered().status == "failed"
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.status_code, attempt.error_class, attempt.response_body) == (403, "client_error", "")
    logged = f"{list(RequestLog.objects.values())} {list(DeliveryAttempt.objects.values())} {list(WebhookDelivery.objects.values())}"
    assert "whitelist" in logged
    assert not [secret for secret in SECRETS if secret in logged]
