"""Slack, Teams and Discord from event to stub: what arrives, what becomes of each answer, and that no log shows the address."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core import runtime
from core.bus import publish
from core.models import RequestLog
from integrations.contract.schema import validate_values
from integrations.models import Integration
from integrations.registry import find
from tests.connectors.told import gate
from tests.webhooks.engine_kit import hook
from tests.webhooks.receivers import Reply, receiving, wait_for
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery, WebhookState
from webhooks.services.previews import preview_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
SECRET = "pl4ntedS3cretOfTheAddress"
PATHS = {
    "slack": f"/services/T0/B0/{SECRET}",
    "teams": f"/workflows/1/triggers/manual/paths/invoke?sig={SECRET}",
    "discord": f"/api/webhooks/10000000/{SECRET}",
}
GOOD = {
    "slack": Reply(200, {}, b"ok"),
    "teams": Reply(202, {}, b""),
    "discord": Reply(200, {}, b'{"id": "1", "channel_id": "2"}'),
}


@pytest.fixture(autouse=True)
def _ready(settings: Any) -> Iterator[None]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def start() -> Iterator[Callable[[], Engine]]:
    engines: list[Engine] = []

    def run() -> Engine:
        engine = Engine(20)
        engines.append(engine)
        engine.start()
        engine.claim_for(60)
        return engine

    yield run
    for engine in engines:
        engine.stop(0)


def through(chat: str, url: str) -> Webhook:
    config, credentials = validate_values(find(chat), {}, {"webhook_url": url})
    made = Integration.objects.create(name=chat, type=chat, category="communication", config=config, credentials=credentials)
    return hook(url="", integration=made, destination={}, events=["gate.*"])


def told() -> DeliveryAttempt:
    """Publish a failed gate, and return the attempt at telling it."""
    publish("gate.failed", dict(gate(7).data))
    wait_for(lambda: DeliveryAttempt.objects.exists())
    return DeliveryAttempt.objects.get()


def everything_shown() -> str:
    rows = [*DeliveryAttempt.objects.values(), *WebhookDelivery.objects.values(), *RequestLog.objects.values()]
    return " ".join(str(row) for row in rows)


@pytest.mark.parametrize("chat", PATHS)
def test_a_message_arrives_and_its_address_is_shown_nowhere(start: Any, chat: str, caplog: pytest.LogCaptureFixture) -> None:
    with receiving(lambda request: GOOD[chat]) as receiver:
        webhook = through(chat, receiver.url(PATHS[chat]))
        start()
        attempt = told()
        (request,) = receiver.received
    assert request.path.startswith(PATHS[chat])
    assert find(chat).body_problems(request.body) == []  # type: ignore[attr-defined]
    assert "Gate failed: acme/shop" in request.body.decode()
    assert attempt.outcome == ("accepted" if chat == "teams" else "success")
    assert attempt.url == f"http://127.0.0.1:{receiver.port}/***"
    (shown,) = preview_message(webhook).requests
    assert "Gate failed" in shown.body
    assert SECRET not in everything_shown() + caplog.text + repr(shown)


@pytest.mark.parametrize("chat", PATHS)
def test_a_proxy_that_repeats_the_path_does_not_give_it_away(start: Any, chat: str, caplog: pytest.LogCaptureFixture) -> None:
    def echo(request: Any) -> Reply:
        said = json.dumps({"message": f"Cannot POST {request.path}", "token": SECRET, "error": {"code": SECRET}})
        return Reply(404, {"Location": request.path}, said.encode())

    with receiving(echo) as receiver:
        through(chat, receiver.url(PATHS[chat]))
        start()
        attempt = told()
    assert attempt.outcome == "failed"
    assert f"{find(chat).title.split()[-1]} answered 404" in attempt.error
    assert SECRET not in everything_shown() + caplog.text


@pytest.mark.parametrize(
    ("chat", "answer", "seconds"),
    [
        ("slack", Reply(429, {"Retry-After": "30"}, b"rate_limited"), 30),
        ("teams", Reply(200, {}, b"Microsoft Teams endpoint returned HTTP error 429"), 60),
        ("discord", Reply(429, {"Retry-After": "1"}, b'{"message": "x", "retry_after": 40.5, "global": false}'), 40.5),
    ],
)
def test_a_limit_holds_the_webhook_as_long_as_the_chat_says(start: Any, chat: str, answer: Reply, seconds: float) -> None:
    with receiving(lambda request: answer) as receiver:
        webhook = through(chat, receiver.url(PATHS[chat]))
        start()
        attempt = told()
        wait_for(lambda: WebhookState.objects.get(webhook=webhook).hold_until is not None)
    hold = WebhookState.objects.get(webhook=webhook).hold_until
    assert hold is not None
    assert attempt.outcome == "retry"
    assert seconds - 2 < (hold - attempt.started_at).total_seconds() < seconds + 5


@pytest.mark.parametrize(
    ("chat", "answer"),
    [
        ("slack", Reply(410, {}, b"channel_is_archived")),
        ("discord", Reply(404, {}, b'{"code": 10015, "message": "Unknown Webhook"}')),
    ],
)
def test_a_channel_that_is_gone_disables_the_webhook(start: Any, chat: str, answer: Reply) -> None:
    with receiving(lambda request: answer) as receiver:
        webhook = through(chat, receiver.url(PATHS[chat]))
        start()
        told()
        wait_for(lambda: Webhook.objects.get(pk=webhook.pk).status != "active")
