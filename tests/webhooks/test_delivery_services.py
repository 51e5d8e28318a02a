from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from access.models import AuditEntry
from core import metrics
from core.errors import Conflict, InvalidInput
from core.event_types import catalogue
from core.ids import uuid7
from core.models import Event
from tests.factories import EventFactory, WebhookFactory
from webhooks.choices import BreakerState, DeliveryStatus, HoldReason, Lane, Outcome, Trigger
from webhooks.models import DeliveryAttempt, DestinationMemory, DueHint, Lease, Subscription, Webhook, WebhookDelivery, WebhookState
from webhooks.services import cancel, delete_webhook, disable, purge_deleted_webhooks, redeliver, send_test
from webhooks.services import purge as purging

pytestmark = pytest.mark.django_db
FINISHED = [DeliveryStatus.SUCCESS, DeliveryStatus.FAILED, DeliveryStatus.CANCELLED]


def delivery_of(hook: Webhook, status: DeliveryStatus = DeliveryStatus.PENDING, **more: Any) -> WebhookDelivery:
    waits = status == DeliveryStatus.PENDING
    values: dict[str, Any] = {"next_attempt_at": timezone.now() + timedelta(hours=5) if waits else None, "step": 4, "attempts": 4} | more
    return WebhookDelivery.objects.create(webhook=hook, event=EventFactory(), event_type="custom.a", status=status, **values)


def leased(delivery: WebhookDelivery) -> WebhookDelivery:
    Lease.objects.create(delivery_id=delivery.id, webhook_id=delivery.webhook_id, owner=uuid7(), token=uuid7())
    return delivery


def counters() -> tuple[int, int, int, int]:
    state = WebhookState.objects.get()
    return state.pending_count, state.success_count, state.failed_count, state.cancelled_count


# --- test sends -------------------------------------------------------------------------------------------------------


def test_a_test_goes_to_this_webhook_only_and_before_others() -> None:
    hook = WebhookFactory(events=["scan.*"], filter={"severity": "high"}, priority=Lane.LOW)
    WebhookFactory(events=["*", "webhook.test"])
    delivery = send_test(hook)
    assert WebhookDelivery.objects.get() == delivery
    assert (delivery.webhook_id, delivery.event_type, delivery.trigger, delivery.lane) == (hook.id, "webhook.test", Trigger.TEST, Lane.HIGH)
    assert delivery.event.payload["webhook_id"] == str(hook.id)  # type: ignore[index,call-overload]
    assert DueHint.objects.get().count == 1
    assert AuditEntry.objects.get().action == "test"


@pytest.mark.parametrize(
    ("asked", "sent"), [("finding.opened", "finding.opened"), ("custom.*", "custom.example"), ("custom.deploy", "custom.deploy")]
)
def test_a_test_can_be_the_example_of_any_type(asked: str, sent: str) -> None:
    delivery = send_test(WebhookFactory(), asked)
    found = catalogue.find(sent)
    assert found is not None
    assert delivery.event_type == sent
    assert Event.objects.get().payload == found.example


def test_every_type_can_be_tested() -> None:
    hook = WebhookFactory()
    for event_type in catalogue.all():
        send_test(hook, event_type.name)
    assert WebhookDelivery.objects.count() == len(catalogue.all())


def test_a_test_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not a known event type"):
        send_test(WebhookFactory(), "nothing.here")


def test_a_test_of_an_inactive_webhook_is_refused() -> None:
    with pytest.raises(Conflict, match="inactive"):
        send_test(WebhookFactory(status="inactive"))
    assert not Event.objects.exists()


# --- redeliver --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", FINISHED)
def test_a_finished_delivery_is_sent_again_from_the_start(status: DeliveryStatus) -> None:
    hook = WebhookFactory()
    delivery = delivery_of(hook, status, finished_at=timezone.now(), last_error="old", last_status_code=500)
    WebhookState.objects.update(pending_count=0, success_count=1, failed_count=1, cancelled_count=1)
    again = redeliver(delivery)
    assert again.id == delivery.id
    assert again.event_id == delivery.event_id
    assert (again.status, again.trigger, again.step, again.attempts, again.lane) == ("pending", Trigger.MANUAL, 0, 4, Lane.HIGH)
    assert again.finished_at is None
    assert again.next_attempt_at is not None
    assert again.next_attempt_at <= timezone.now()
    expected = {"success": (1, 0, 1, 1), "failed": (1, 1, 0, 1), "cancelled": (1, 1, 1, 0)}
    assert counters() == expected[status]
    assert WebhookState.objects.get().next_due_at == again.next_attempt_at
    assert AuditEntry.objects.get().action == "redeliver"


def test_a_waiting_delivery_becomes_due_now() -> None:
    delivery = delivery_of(WebhookFactory())
    WebhookState.objects.update(pending_count=1)
    again = redeliver(delivery)
    assert again.next_attempt_at is not None
    assert again.next_attempt_at <= timezone.now()
    assert counters() == (1, 0, 0, 0)


def test_a_hold_after_failures_ends_but_the_breaker_stays() -> None:
    delivery = delivery_of(WebhookFactory())
    WebhookState.objects.update(hold_until=timezone.now() + timedelta(hours=1), hold_reason=HoldReason.BREAKER, breaker=BreakerState.OPEN)
    redeliver(delivery)
    state = WebhookState.objects.get()
    assert (state.hold_until, state.hold_reason, state.breaker) == (None, "", BreakerState.OPEN)
    assert state.next_due_at is not None
    assert state.next_due_at <= timezone.now()


def test_a_rate_limit_goes_on_counting() -> None:
    delivery = delivery_of(WebhookFactory())
    until = timezone.now() + timedelta(seconds=30)
    WebhookState.objects.update(hold_until=until, hold_reason=HoldReason.RATE_LIMIT)
    redeliver(delivery)
    assert WebhookState.objects.get().hold_until == until


def test_a_delivery_of_an_inactive_webhook_is_parked_when_redelivered() -> None:
    hook = WebhookFactory()
    delivery = delivery_of(hook, DeliveryStatus.FAILED)
    disable(hook)
    assert redeliver(delivery).status == DeliveryStatus.PENDING
    assert WebhookState.objects.get().next_due_at is None


@pytest.mark.parametrize("act", [redeliver, cancel])
def test_nothing_is_changed_while_the_request_is_under_way(act: Any) -> None:
    delivery = leased(delivery_of(WebhookFactory()))
    with pytest.raises(Conflict, match="under way"):
        act(delivery)
    assert counters() == (0, 0, 0, 0)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("act", [redeliver, cancel])
def test_a_delivery_of_a_deleted_webhook_stays_as_it_is(act: Any) -> None:
    hook = WebhookFactory()
    delivery = delivery_of(hook)
    delete_webhook(hook)
    with pytest.raises(Conflict, match="deleted"):
        act(delivery)


@pytest.mark.parametrize("act", [redeliver, cancel])
def test_a_pruned_delivery_is_a_conflict(act: Any) -> None:
    delivery = delivery_of(WebhookFactory())
    WebhookDelivery.objects.filter(id=delivery.id).delete()
    with pytest.raises(Conflict, match="deleted meanwhile"):
        act(delivery)


def test_redelivering_wakes_the_drains(monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any) -> None:
    woken: list[int] = []
    monkeypatch.setattr("core.bus.wake", lambda: woken.append(1))
    with django_capture_on_commit_callbacks(execute=True):
        redeliver(delivery_of(WebhookFactory()))
    assert woken


# --- cancel -----------------------------------------------------------------------------------------------------------


def test_a_waiting_delivery_is_cancelled() -> None:
    delivery = delivery_of(WebhookFactory())
    WebhookState.objects.update(pending_count=1, next_due_at=timezone.now())
    ended = cancel(delivery)
    assert ended.status == DeliveryStatus.CANCELLED
    assert ended.finished_at is not None
    assert ended.next_attempt_at is None
    assert counters() == (0, 0, 0, 1)
    assert WebhookState.objects.get().next_due_at is None
    assert metrics.totals() == [("repoguard_deliveries_total", 'outcome="cancelled"', 1)]


@pytest.mark.parametrize("status", FINISHED)
def test_a_finished_delivery_cannot_be_cancelled(status: DeliveryStatus) -> None:
    with pytest.raises(Conflict, match="Only a pending delivery"):
        cancel(delivery_of(WebhookFactory(), status))
    assert metrics.totals() == []


# --- purge ------------------------------------------------------------------------------------------------------------


def _deleted(hours: float = 2) -> Webhook:
    hook: Webhook = WebhookFactory()
    disable(hook)
    Webhook.objects.filter(id=hook.id).update(deleted_at=timezone.now() - timedelta(hours=hours))
    return hook


def _attempt(delivery: WebhookDelivery, number: int = 1) -> DeliveryAttempt:
    return DeliveryAttempt(
        delivery=delivery, webhook_id=delivery.webhook_id, number=number, outcome=Outcome.FAILED, started_at=timezone.now(), url="https://x"
    )


def test_a_deleted_webhook_goes_with_its_log_in_small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "_DELIVERIES_AT_ONCE", 3)
    monkeypatch.setattr(purging, "_ATTEMPTS_AT_ONCE", 7)
    gone, kept = _deleted(), WebhookFactory()
    for hook in (gone, kept):
        deliveries = [delivery_of(hook, DeliveryStatus.FAILED) for _ in range(8)]
        DeliveryAttempt.objects.bulk_create([_attempt(delivery, number) for delivery in deliveries for number in range(5)])
        DueHint.objects.create(webhook_id=hook.id, due_at=timezone.now())
    assert purge_deleted_webhooks() >= 8 + 40 + 1
    assert list(Webhook.objects.all()) == [kept]
    assert set(WebhookState.objects.values_list("webhook_id", flat=True)) == {kept.id}
    assert set(Subscription.objects.values_list("webhook_id", flat=True)) == {kept.id}
    assert set(DueHint.objects.values_list("webhook_id", flat=True)) == {kept.id}
    assert WebhookDelivery.objects.count() == 8
    assert DeliveryAttempt.objects.count() == 40
    assert purge_deleted_webhooks() == 0


def test_what_its_destination_remembered_goes_in_small_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "_MEMORIES_AT_ONCE", 3)
    gone, kept = _deleted(), WebhookFactory()
    for hook in (gone, kept):
        DestinationMemory.objects.bulk_create([DestinationMemory(webhook=hook, key=f"mail:{n}", external_id="1") for n in range(8)])
    assert purge_deleted_webhooks(limit=4) == 3 + 3  # the batches, the last of which reaches the limit
    assert DestinationMemory.objects.filter(webhook_id=gone.id).count() == 2
    purge_deleted_webhooks()
    assert list(Webhook.objects.all()) == [kept]
    assert DestinationMemory.objects.count() == 8


def test_it_stops_at_its_limit_and_goes_on_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "_DELIVERIES_AT_ONCE", 2)
    hook = _deleted()
    for _ in range(5):
        delivery_of(hook, DeliveryStatus.SUCCESS)
    assert purge_deleted_webhooks(limit=2) == 2
    assert Webhook.objects.exists()
    purge_deleted_webhooks()
    assert not Webhook.objects.exists()


def test_a_webhook_deleted_just_now_stays_for_publishers_that_saw_it() -> None:
    _deleted(hours=0.5)
    assert purge_deleted_webhooks() == 0
    assert Webhook.objects.exists()


def test_a_request_under_way_keeps_its_rows() -> None:
    hook = _deleted()
    under_way = leased(delivery_of(hook))
    delivery_of(hook)
    assert purge_deleted_webhooks() == 0
    assert WebhookDelivery.objects.filter(id=under_way.id).exists()
    assert Webhook.objects.exists()
    Lease.objects.all().delete()
    purge_deleted_webhooks()
    assert not Webhook.objects.exists()


def test_an_unreadable_webhook_is_removed_all_the_same(settings: Any) -> None:
    _deleted()
    settings.FERNET_KEYS = ["another key entirely, of no meaning"]
    purge_deleted_webhooks()
    assert not Webhook.objects.defer("secrets", "headers").exists()


# --- at once ----------------------------------------------------------------------------------------------------------


def _at_once(*acts: Any) -> list[Any]:
    """Run the acts in threads at the same moment; return what each returned or raised."""
    barrier, results = threading.Barrier(len(acts)), list[Any]()

    def run(act: Any) -> None:
        barrier.wait()
        try:
            results.append(act())
        except Conflict as conflict:
            results.append(conflict)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_redelivering_twice_at_once_counts_once() -> None:
    delivery = delivery_of(WebhookFactory(), DeliveryStatus.FAILED)
    WebhookState.objects.update(failed_count=1)
    assert len(_at_once(*[lambda: redeliver(delivery)] * 4)) == 4
    assert counters() == (1, 0, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_of_many_cancels_at_once_one_wins() -> None:
    delivery = delivery_of(WebhookFactory())
    WebhookState.objects.update(pending_count=1)
    results = _at_once(*[lambda: cancel(delivery)] * 4)
    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert counters() == (0, 0, 0, 1)
