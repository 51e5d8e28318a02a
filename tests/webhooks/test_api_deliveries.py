from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from rest_framework.test import APIClient

from core import runtime
from core.ids import uuid7
from core.models import RuntimeSettings
from tests.access.keys import client_of
from tests.factories import EventFactory, WebhookFactory, owner_of
from webhooks.choices import DeliveryStatus, ErrorClass, Outcome
from webhooks.engine.targets import body as engine_body
from webhooks.engine.types import EventRow
from webhooks.envelope import envelope
from webhooks.models import DeliveryAttempt, Lease, Webhook, WebhookDelivery
from webhooks.selectors import ATTEMPTS_SHOWN

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(alice: User) -> APIClient:
    return client_of(alice)


@pytest.fixture
def hook(alice: User) -> Webhook:
    found: Webhook = WebhookFactory(owner=owner_of(alice), name="hook")
    return found


def delivery_of(hook: Webhook, **more: Any) -> WebhookDelivery:
    event = EventFactory(owner_id=hook.owner_id, type=more.get("event_type", "custom.a"))
    values: dict[str, Any] = {"event_type": event.type, "owner_id": hook.owner_id, "next_attempt_at": timezone.now()} | more
    return WebhookDelivery.objects.create(webhook=hook, event=event, **values)


def attempt_of(delivery: WebhookDelivery, number: int) -> DeliveryAttempt:
    return DeliveryAttempt.objects.create(
        delivery=delivery, webhook_id=delivery.webhook_id, number=number, outcome=Outcome.RETRY, started_at=timezone.now(), url="https://example.com/",
        status_code=503, error_class=ErrorClass.SERVER_ERROR, error="It answered 503.", dns_ms=1.5, request_headers={"webhook-id": "x"},
    )  # fmt: skip


def ids(client: APIClient, query: str = "") -> list[str]:
    answer = client.get(f"/api/v1/deliveries{query}")
    assert answer.status_code == 200, answer.json()
    return [row["id"] for row in answer.json()["results"]]


def test_the_list_shows_where_each_delivery_stands(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook, attempts=2, last_status_code=503, last_error_class="server_error", last_error="It answered 503.")
    row = client.get("/api/v1/deliveries").json()["results"][0]
    assert row == {
        "id": str(delivery.id),
        "webhook": str(hook.id),
        "webhook_name": "hook",
        "event": str(delivery.event_id),
        "event_type": "custom.a",
        "status": "pending",
        "parked": False,
        "in_flight": False,
        "trigger": "auto",
        "attempt_count": 2,
        "next_attempt_at": row["next_attempt_at"],
        "last_status_code": 503,
        "last_error_class": "server_error",
        "last_error": "It answered 503.",
        "created_at": row["created_at"],
        "finished_at": None,
    }


def test_the_detail_shows_the_body_and_the_attempts(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook)
    attempts = [attempt_of(delivery, number) for number in (1, 2)]
    shown = client.get(f"/api/v1/deliveries/{delivery.id}").json()
    assert shown["body"] == envelope(delivery.event)
    assert [attempt["id"] for attempt in shown["attempts"]] == [str(attempt.id) for attempt in attempts]
    assert shown["attempts"][0]["dns_ms"] == 1.5
    assert shown["attempts"][0]["error"] == "It answered 503."


def test_the_shown_body_is_the_one_the_engine_sends(hook: Webhook) -> None:
    event = EventFactory(payload={"text": "ü \ud800", "n": 1.5})
    values = dict.fromkeys(EventRow._fields) | {
        "event_id": event.id, "event_type": event.type, "event_at": event.created_at.timestamp(), "data": json.dumps(event.payload),
    }  # fmt: skip
    assert json.loads(engine_body(EventRow(**values), {})) == envelope(event)  # type: ignore[arg-type]


def test_the_detail_shows_the_latest_attempts_only(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook)
    for number in range(1, ATTEMPTS_SHOWN + 6):
        attempt_of(delivery, number)
    shown = [attempt["number"] for attempt in client.get(f"/api/v1/deliveries/{delivery.id}").json()["attempts"]]
    assert shown == list(range(6, ATTEMPTS_SHOWN + 6))


def test_bodies_are_hidden_where_the_settings_say_so(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook)
    RuntimeSettings.objects.update_or_create(id=1, defaults={"log_request_bodies": False})
    runtime.forget()
    try:
        assert client.get(f"/api/v1/deliveries/{delivery.id}").json()["body"] is None
    finally:
        runtime.forget()


def test_the_list_is_filtered(client: APIClient, alice: User, hook: Webhook) -> None:
    other = WebhookFactory(owner=owner_of(alice))
    first = delivery_of(hook, event_type="scan.completed")
    second = delivery_of(hook, status=DeliveryStatus.FAILED, last_error_class=ErrorClass.TIMEOUT)
    third = delivery_of(other)
    assert ids(client) == [str(third.id), str(second.id), str(first.id)]
    assert ids(client, f"?webhook={other.id}") == [str(third.id)]
    assert ids(client, f"?event={first.event_id}") == [str(first.id)]
    assert ids(client, "?event_type=scan.completed") == [str(first.id)]
    assert ids(client, "?status=failed") == [str(second.id)]
    assert ids(client, "?error_class=timeout") == [str(second.id)]
    assert ids(client, f"?webhook={hook.id}&status=pending") == [str(first.id)]
    assert [row["id"] for row in client.get(f"/api/v1/webhooks/{hook.id}/deliveries?status=failed").json()["results"]] == [str(second.id)]


def test_times_are_ranges_of_the_id(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook)
    before, after = (timezone.now() + timedelta(minutes=minutes) for minutes in (-1, 1))
    assert ids(client, f"?since={before:%Y-%m-%dT%H:%M:%SZ}") == [str(delivery.id)]
    assert ids(client, f"?since={after:%Y-%m-%dT%H:%M:%SZ}") == []
    assert ids(client, f"?until={after:%Y-%m-%dT%H:%M:%SZ}") == [str(delivery.id)]
    assert ids(client, f"?until={before:%Y-%m-%dT%H:%M:%SZ}") == []


@pytest.mark.parametrize("query", ["status=lost", "webhook=x", "since=yesterday", "error_class=bad", "limit=5", "trigger=auto", "event=1"])
def test_a_wrong_parameter_is_a_400_that_names_it(client: APIClient, query: str) -> None:
    answer = client.get(f"/api/v1/deliveries?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [query.split("=")[0]]


def test_pages_follow_one_another(client: APIClient, hook: Webhook) -> None:
    made = [str(delivery_of(hook).id) for _ in range(5)][::-1]
    first = client.get("/api/v1/deliveries?page_size=3").json()
    second = client.get(first["next"]).json()
    assert [row["id"] for row in first["results"]] + [row["id"] for row in second["results"]] == made


def test_a_delivery_is_sent_again(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook, status=DeliveryStatus.FAILED, next_attempt_at=None)
    answer = client.post(f"/api/v1/deliveries/{delivery.id}/redeliver", {}, format="json")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["trigger"]) == ("pending", "manual")


def test_a_delivery_is_cancelled_once(client: APIClient, hook: Webhook) -> None:
    delivery = delivery_of(hook)
    answer = client.post(f"/api/v1/deliveries/{delivery.id}/cancel", {}, format="json")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    again = client.post(f"/api/v1/deliveries/{delivery.id}/cancel", {}, format="json")
    assert (again.status_code, again.json()["code"]) == (409, "not_pending")


@pytest.mark.parametrize("route", ["redeliver", "cancel"])
def test_a_delivery_under_way_is_a_conflict(client: APIClient, hook: Webhook, route: str) -> None:
    delivery = delivery_of(hook)
    Lease.objects.create(delivery_id=delivery.id, webhook_id=hook.id, owner=uuid7(), token=uuid7())
    answer = client.post(f"/api/v1/deliveries/{delivery.id}/{route}", {}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "under_way")
    assert client.get(f"/api/v1/deliveries/{delivery.id}").json()["in_flight"]


@pytest.mark.parametrize(("method", "route"), [("get", ""), ("post", "/redeliver"), ("post", "/cancel")])
def test_a_strangers_delivery_is_not_found(hook: Webhook, charlie: User, method: str, route: str) -> None:
    delivery = delivery_of(hook)
    stranger = client_of(charlie)
    assert getattr(stranger, method)(f"/api/v1/deliveries/{delivery.id}{route}", {}, format="json").status_code == 404
    assert ids(stranger) == []
    assert ids(stranger, f"?webhook={hook.id}") == []


def test_a_team_sees_what_its_webhooks_were_sent(team: Any, bob: User, alice: User) -> None:
    delivery = delivery_of(WebhookFactory(owner=owner_of(team)))
    assert ids(client_of(bob)) == ids(client_of(alice)) == [str(delivery.id)]


@pytest.mark.parametrize("method", ["put", "patch", "delete", "post"])
def test_the_log_cannot_be_changed(client: APIClient, hook: Webhook, method: str) -> None:
    delivery = delivery_of(hook)
    assert getattr(client, method)(f"/api/v1/deliveries/{delivery.id}", {}, format="json").status_code == 405
