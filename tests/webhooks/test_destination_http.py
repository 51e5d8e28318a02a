"""The generic connector as a destination, from event to receiver, with each kind of credentials; and what a killed process leaves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from standardwebhooks import Webhook as Verifier

from core import leases, runtime
from core.bus import publish
from core.models import RequestLog, Worker
from integrations.contract.outbound import Outcome
from integrations.models import Integration
from tests.integrations.oauth_provider import CLIENT, SECRET, providing
from tests.webhooks.destination_kit import Told, connectors, integration, routed
from tests.webhooks.engine_kit import assert_truth, due, hook, worker
from tests.webhooks.receivers import Reply, receiving, wait_for
from webhooks.destinations.memory import RowMemory
from webhooks.engine.pump import Engine
from webhooks.engine.sweep import sweep
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery, WebhookState

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[[], Engine]
__all__ = ["connectors"]


@pytest.fixture(autouse=True)
def _ready(settings: Any) -> Iterator[None]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def start() -> Iterator[Start]:
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


def http(base: str, credentials: dict[str, Any] | None = None, **config: Any) -> Integration:
    values = {"base_url": base, "kind": "rest", "health_method": "GET", "expected_status": ["200-299"], "auth": "none"} | config
    return Integration.objects.create(name="erp", type="http", category="development", config=values, credentials=credentials or {})


def through(to: Integration, options: dict[str, Any] | None = None, *, calls: bool = False, **more: Any) -> Webhook:
    made = hook(url="", integration=to, destination=options or {"path": "/events", "method": "POST"}, **more)
    WebhookState.objects.filter(webhook=made).update(calls=calls)
    return made


def delivered() -> bool:
    return not WebhookDelivery.objects.filter(status="pending").exists()


WAYS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str]]] = {
    "none": ({}, {}, {}),
    "bearer": ({"auth": "bearer"}, {"token": "t-91af33"}, {"authorization": "Bearer t-91af33"}),
    "basic": (
        {"auth": "basic", "username": "me"},
        {"password": "p-91af33"},
        {"authorization": "Basic " + base64.b64encode(b"me:p-91af33").decode()},
    ),
    "key in a header": (
        {"auth": "api_key", "api_key_in": "header", "api_key_name": "X-Request-Id"},
        {"api_key": "k-91af33"},
        {"x-request-id": "k-91af33"},
    ),
    "key in the query": ({"auth": "api_key", "api_key_in": "query", "api_key_name": "q"}, {"api_key": "k-91af33"}, {}),
    "secret headers": (
        {"headers": {"X-Team": "blue"}},
        {"secret_headers": {"X-Pass": "s-91af33"}},
        {"x-team": "blue", "x-pass": "s-91af33"},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_event_arrives_with_credentials_and_signature_and_the_log_shows_neither(start: Start, way: str) -> None:
    config, credentials, expected = WAYS[way]
    with receiving(lambda request: Reply(200, {}, json.dumps(request.headers).encode() + request.path.encode())) as receiver:
        made = through(http(receiver.url(""), credentials, **config))
        start()
        event = publish("custom.a", {"n": 1})
        wait_for(delivered)
        (request,) = receiver.received
    assert request.path == "/events" + ("?q=k-91af33" if way == "key in the query" else "")
    assert {name: request.headers.get(name) for name in expected} == expected
    assert Verifier(made.secrets[0]["secret"]).verify(request.body, request.headers)["id"] == str(event.id)
    attempt = DeliveryAttempt.objects.get()
    assert attempt.outcome == "success"
    shown = f"{attempt.url} {attempt.request_headers} {attempt.response_headers} {attempt.response_body}"
    assert "91af33" not in shown
    assert base64.b64encode(b"me:p-91af33").decode() not in shown
    assert_truth()


def test_a_token_is_fetched_once_and_every_call_is_logged(start: Start) -> None:
    with providing() as oauth, receiving() as receiver:
        config = {"auth": "oauth2_client_credentials", "oauth_token_url": f"{oauth.url}/token", "oauth_client_id": CLIENT}
        through(http(receiver.url(""), {"oauth_client_secret": SECRET}, **config), calls=True)
        start()
        publish("custom.a", {"n": 1})
        wait_for(delivered)
        publish("custom.a", {"n": 2})
        wait_for(lambda: delivered() and len(receiver.received) == 2)
        assert {request.headers["authorization"].removeprefix("Bearer ") for request in receiver.received} <= oauth.access
        assert len(oauth.grants) == 1
    assert set(DeliveryAttempt.objects.values_list("outcome", flat=True)) == {"success"}
    assert RequestLog.objects.filter(purpose="destination", outcome="success").count() == 2
    assert SECRET not in str(list(DeliveryAttempt.objects.values()))


def test_refused_credentials_fail_for_good(start: Start) -> None:
    with providing() as oauth, receiving() as receiver:
        oauth.refuse = {"status": 401, "error": "invalid_client"}
        config = {"auth": "oauth2_client_credentials", "oauth_token_url": f"{oauth.url}/token", "oauth_client_id": CLIENT}
        through(http(receiver.url(""), {"oauth_client_secret": SECRET}, **config), calls=True)
        start()
        publish("custom.a", {})
        wait_for(delivered)
        assert not receiver.received
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.last_error_class) == ("failed", "sign_in")


def test_graphql_errors_in_a_good_answer_are_failures(start: Start) -> None:
    with receiving(Reply(200, {"Content-Type": "application/json"}, b'{"errors": [{"message": "no such field"}]}')) as receiver:
        to = http(receiver.url(""), kind="graphql")
        through(to, {"graphql": "mutation($event: JSON!) { record(event: $event) { id } }"}, retry_config={"schedule": []})
        start()
        publish("custom.a", {"n": 1})
        wait_for(delivered)
        assert json.loads(receiver.received[0].body)["variables"]["event"]["data"] == {"n": 1}
    assert "no such field" in WebhookDelivery.objects.get().last_error


def test_rotated_credentials_are_used_at_once(start: Start) -> None:
    with receiving() as receiver:
        to = http(receiver.url(""), {"token": "old-91af"}, auth="bearer")
        through(to)
        start()
        publish("custom.a", {})
        wait_for(lambda: delivered() and receiver.received)
        Integration.objects.filter(id=to.id).update(credentials={"token": "new-91af"})
        publish("custom.a", {})
        wait_for(lambda: delivered() and len(receiver.received) == 2)
        assert [request.headers["authorization"] for request in receiver.received] == ["Bearer old-91af", "Bearer new-91af"]


@pytest.mark.postgres
@pytest.mark.usefixtures("connectors")
def test_what_a_killed_process_began_is_sent_again_and_makes_no_second_ticket(start: Start) -> None:
    tickets: list[str] = []

    def send(event: Any, options: Any, memory: Any, _: Any) -> Outcome:
        if memory.get(str(event.id)) is None:
            tickets.append(f"T-{len(tickets) + 1}")
            memory.put(str(event.id), tickets[-1])
        return Outcome(ok=True)

    Told.send = send
    made = routed(integration("caller"))
    (delivery,) = due(made)
    dead = worker()
    dead.threads = 1
    assert [one.delivery_id for one in dead.turn([], 10).claimed] == [delivery.id]
    memory = RowMemory(made.id)
    send(delivery.event, {}, memory, None)  # and there it was killed
    Worker.objects.filter(id=dead.worker_id).update(heartbeat_at=Now() - timedelta(seconds=leases.LAPSE_SECONDS + 1))
    assert sweep() == 1
    start()
    wait_for(delivered)
    assert tickets == ["T-1"]
    outcomes = list(DeliveryAttempt.objects.order_by("number").values_list("outcome", flat=True))
    assert outcomes == ["worker_lost", "success"]
    assert_truth()


@pytest.mark.postgres
@pytest.mark.usefixtures("connectors")
def test_without_a_thread_nothing_that_needs_one_is_leased_and_nobody_spins() -> None:
    due(routed(integration("caller")))
    store = worker()
    batch = store.turn([], 10)
    assert (batch.claimed, batch.due_in, store.peek()) == ([], None, False)
    store.threads = 1
    assert store.peek()
    assert len(store.turn([], 10).claimed) == 1
    assert store.threads == 0
