from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from access.models import AuditEntry
from core import metrics, runtime
from core.models import Event, RuntimeSettings
from tests.factories import EventFactory, owner_of
from tests.webhooks.engine_kit import assert_truth, due, hook, reply, result, state_of, worker
from webhooks.choices import BreakerState
from webhooks.engine import aftermath
from webhooks.engine.due import recompute
from webhooks.engine.store import Store
from webhooks.models import DeliveryAttempt, Webhook, WebhookDelivery, WebhookState

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
NEWS = ["webhook.failing", "webhook.recovered", "webhook.disabled", "delivery.failed", "delivery.exhausted"]


@pytest.fixture
def store(db: None) -> Store:
    return worker()


@pytest.fixture(autouse=True)
def _quick_to_fail(db: None) -> Any:
    RuntimeSettings.objects.update_or_create(pk=1, defaults={"breaker_failures": 2})
    runtime.forget()
    yield
    runtime.forget()


def send(store: Store, made: Webhook, *answers: Any, event_type: str = "custom.thing") -> None:
    """Deliver one event to a webhook for each answer, all in one batch."""
    due(made, len(answers), event=EventFactory(type=event_type))
    WebhookState.objects.filter(webhook=made).update(hold_until=None, breaker=state_of(made).breaker)
    recompute([made.id])
    batch = [one for one in store.turn([], 400).claimed if one.target.webhook_id == made.id]
    assert len(batch) == len(answers)
    store.turn([result(one, answer) for one, answer in zip(batch, answers, strict=True)], 0)


def told(event_type: str) -> list[Event]:
    return list(Event.objects.filter(type=event_type))


def receivers(event_type: str) -> set[str]:
    return set(WebhookDelivery.objects.filter(event_type=event_type).values_list("webhook__name", flat=True))


def test_a_final_failure_is_told_once_with_what_one_needs_to_know(store: Store) -> None:
    made = hook(name="broken", events=["custom.*", "delivery.failed"])
    hook(name="watcher", events=["delivery.failed"])
    hook(name="everything", events=["*"])
    send(store, made, 404)
    (event,) = told("delivery.failed")
    delivery = WebhookDelivery.objects.get(event_type="custom.thing")
    assert event.payload == {
        "delivery_id": str(delivery.id),
        "webhook_id": str(made.id),
        "event_id": str(delivery.event_id),
        "event_type": "custom.thing",
        "attempts": 1,
        "status_code": 404,
        "error_class": "client_error",
        "error": delivery.last_error,
    }
    assert receivers("delivery.failed") == {"watcher"}
    assert_truth()


def test_an_exhausted_delivery_is_told_as_such(store: Store) -> None:
    made = hook(retry_config={"schedule": []})
    send(store, made, 500)
    assert (len(told("delivery.exhausted")), len(told("delivery.failed"))) == (1, 0)


def test_successes_and_retries_are_no_news(store: Store, django_assert_num_queries: Any) -> None:
    send(store, hook(), 200, 500)
    assert not Event.objects.filter(type__in=NEWS).exists()


def test_failing_and_recovered_are_told_once_each(store: Store) -> None:
    made = hook(name="broken", events=["custom.*", *NEWS])
    hook(name="watcher", events=["webhook.failing", "webhook.recovered"])
    send(store, made, 500, 500, 500)
    send(store, made, 500)
    (event,) = told("webhook.failing")
    assert event.payload["webhook_id"] == str(made.id)  # type: ignore[index,call-overload]
    assert event.payload["consecutive_failures"] == 3  # type: ignore[index,call-overload]
    assert receivers("webhook.failing") == {"watcher"}
    assert not told("webhook.recovered")
    send(store, made, 200)
    send(store, made, 200)
    assert len(told("webhook.recovered")) == 1
    assert receivers("webhook.recovered") == {"watcher"}


def test_410_disables_tells_and_audits_once(store: Store) -> None:
    made = hook(name="gone", events=["custom.*", "webhook.disabled"])
    hook(name="watcher", events=["webhook.disabled"])
    send(store, made, 410, 410)
    made.refresh_from_db(fields=["status", "inactive_reason", "status_changed_at"])
    assert (made.status, made.inactive_reason) == ("inactive", "gone")
    assert made.status_changed_at is not None
    (event,) = told("webhook.disabled")
    assert (event.payload["reason"], event.payload["webhook_id"]) == ("gone", str(made.id))  # type: ignore[index,call-overload]
    assert receivers("webhook.disabled") == {"watcher"}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_id, entry.actor) == ("disable", str(made.id), "system")


def test_a_webhook_that_failed_for_days_is_disabled(store: Store) -> None:
    made = hook()
    long_ago = timezone.now() - timedelta(hours=runtime.current().disable_after_hours + 1)
    WebhookState.objects.update(failing_since=long_ago, consecutive_failures=5)
    send(store, made, 500)
    made.refresh_from_db(fields=["status", "inactive_reason"])
    assert (made.status, made.inactive_reason) == ("inactive", "failing")
    assert told("webhook.disabled")[0].payload["reason"] == "failing"  # type: ignore[index,call-overload]


def test_one_that_a_user_disabled_meanwhile_is_not_disabled_again(store: Store) -> None:
    made = hook()
    due(made)
    (one,) = store.turn([], 10).claimed
    Webhook.objects.update(status="inactive", inactive_reason="by_user")
    store.turn([result(one, 410)], 0)
    made.refresh_from_db(fields=["inactive_reason"])
    assert made.inactive_reason == "by_user"
    assert not told("webhook.disabled")
    assert not AuditEntry.objects.exists()


def test_news_stay_within_their_owner(store: Store, alice: Any, charlie: Any) -> None:
    made = hook(owner=owner_of(alice))
    hook(name="alice", owner=owner_of(alice), events=["delivery.failed"])
    hook(name="charlie", owner=owner_of(charlie), events=["delivery.failed"])
    hook(name="admins", events=["delivery.failed"])
    send(store, made, 404)
    assert receivers("delivery.failed") == {"alice", "admins"}


@pytest.mark.parametrize("answer", [404, 410, 500])
def test_two_failing_webhooks_that_watch_each_other_come_to_rest(store: Store, answer: int) -> None:
    one = hook(name="one", events=["custom.*", *NEWS], retry_config={"schedule": []})
    two = hook(name="two", events=["custom.*", *NEWS], retry_config={"schedule": []})
    due(one, 3)
    due(two, 3)
    for _turn in range(20):
        WebhookState.objects.update(hold_until=None)
        recompute([one.id, two.id])
        batch = store.turn([], 100).claimed
        store.turn([result(sent, answer) for sent in batch], 0)
    assert not store.turn([], 100).claimed
    about_operational = Event.objects.filter(type__in=["delivery.failed", "delivery.exhausted"])
    assert all(event.payload["event_type"] == "custom.thing" for event in about_operational)  # type: ignore[index,call-overload]
    assert Event.objects.filter(type__in=NEWS).count() <= 6 + 2 * 3
    assert_truth()


def test_a_batch_of_news_alone_causes_no_further_news(store: Store) -> None:
    made = hook(events=NEWS)
    hook(events=NEWS)
    send(store, made, 500, 500, 410, event_type="webhook.failing")
    assert state_of(made).breaker == BreakerState.OPEN
    made.refresh_from_db(fields=["status"])
    assert made.status == "inactive"
    assert not Event.objects.filter(type__in=[*NEWS[1:]]).exists()


def test_news_that_cannot_be_told_keep_no_outcome_from_being_recorded(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise DatabaseError("no room")

    monkeypatch.setattr(aftermath, "publish", fail)
    made = hook()
    send(store, made, 404, 410)
    assert state_of(made).failed_count == 2
    assert "operational_event_failed" in caplog.text
    assert_truth()


def test_urls_are_shown_without_credentials(store: Store) -> None:
    made = hook(url="https://user:pass@example.com/hook?token=hush&a=b")
    send(store, made, 410)
    shown = DeliveryAttempt.objects.get().url
    assert shown == told("webhook.disabled")[0].payload["url"]  # type: ignore[index,call-overload]
    assert "hush" not in shown
    assert "pass" not in shown
    assert "a=b" in shown


def test_attempts_and_deliveries_are_counted(store: Store) -> None:
    before = {(name, labels): value for name, labels, value in metrics.totals()}
    due(hook(), 4)
    batch = store.turn([], 10).claimed
    answers = [reply(200), reply(404), reply(500), reply(500)]
    for answer in answers[:3]:
        answer.timings.total_ms = 20.0
    store.turn([result(one, answer) for one, answer in zip(batch, answers, strict=True)], 0)
    grown = {key: value - before.get(key, 0) for *key_parts, value in metrics.totals() for key in [tuple(key_parts)]}
    assert grown[aftermath.ATTEMPTS, 'error_class="",outcome="success"'] == 1
    assert grown[aftermath.ATTEMPTS, 'error_class="server_error",outcome="retry"'] == 2
    assert grown[aftermath.DELIVERIES, 'outcome="failed"'] == 1
    assert sum(value for (name, _), value in grown.items() if name == aftermath.DELIVERIES) == 2
    assert sum(value for (name, _), value in grown.items() if name == aftermath.LATENCY + "_bucket") == 1
    assert sum(value for (name, _), value in grown.items() if name == aftermath.DURATION + "_bucket") == 3


def test_an_answer_that_repeats_the_webhooks_headers_is_kept_without_them(store: Store) -> None:
    made = hook(headers={"X-Partner": "q8c1f0ffee", "X-Stage": "prod"})
    send(store, made, reply(400, body=b'{"you sent": ["q8c1f0ffee", "cThjMWYwZmZlZQ==", "prod"]}'))
    assert DeliveryAttempt.objects.get().response_body == '{"you sent": ["***", "***", "prod"]}'
