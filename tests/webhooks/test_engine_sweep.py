from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from core import leases
from core.models import Worker
from tests.webhooks.engine_kit import assert_truth, due, hook, ids, result, state_of, worker
from webhooks.choices import ErrorClass, Outcome
from webhooks.engine import sweep as sweep_module
from webhooks.engine.store import Store
from webhooks.engine.sweep import lost_holders, sweep
from webhooks.models import DeliveryAttempt, Lease, WebhookDelivery
from webhooks.services import delete_webhook

pytestmark = pytest.mark.django_db


@pytest.fixture
def store(db: None) -> Store:
    return worker()


def die(store: Store) -> None:
    Worker.objects.filter(id=store.worker_id).update(heartbeat_at=timezone.now() - timedelta(seconds=leases.LAPSE_SECONDS + 1))


def test_the_living_keep_what_they_hold(store: Store) -> None:
    due(hook(), 2)
    store.turn([], 10)
    assert (sweep(), lost_holders(), Lease.objects.count()) == (0, set(), 2)


def test_what_the_dead_held_is_free_and_logged_as_lost(store: Store) -> None:
    made = hook(concurrency=2)
    rows = due(made, 3)
    store.turn([], 10)
    assert state_of(made).full
    die(store)
    assert lost_holders() == {store.worker_id}
    assert sweep() == 2
    assert not Lease.objects.exists()
    assert not Worker.objects.filter(id=store.worker_id).exists()
    assert not state_of(made).full
    for row in rows[:2]:
        row.refresh_from_db()
        assert (row.status, row.attempts, row.step, row.last_error_class) == ("pending", 1, 0, ErrorClass.WORKER_LOST)
    logged = DeliveryAttempt.objects.all()
    assert {(one.delivery_id, one.number, one.outcome) for one in logged} == {(row.id, 1, Outcome.WORKER_LOST) for row in rows[:2]}
    assert all(one.error and one.webhook_id == made.id and one.url == made.url for one in logged)
    other = worker()
    assert ids(other.turn([], 10).claimed) == [rows[0].id, rows[1].id]
    assert_truth()
    assert sweep() == 0


def test_a_holder_without_a_row_is_dead_too(store: Store) -> None:
    due(hook())
    store.turn([], 10)
    leases.retire(store.worker_id)
    assert sweep() == 1
    assert not Lease.objects.exists()


def test_the_attempt_after_a_loss_has_the_next_number(store: Store) -> None:
    (row,) = due(hook())
    store.turn([], 10)
    die(store)
    sweep()
    other = worker()
    other.turn([result(other.turn([], 10).claimed[0])], 0)
    row.refresh_from_db()
    assert (row.status, row.attempts, row.step) == ("success", 2, 1)
    assert sorted(DeliveryAttempt.objects.values_list("number", flat=True)) == [1, 2]
    assert_truth()


def test_a_worker_that_woke_up_in_the_meantime_is_not_buried(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    due(hook())
    store.turn([], 10)
    die(store)
    found = lost_holders()
    leases.beat(store.worker_id)
    monkeypatch.setattr(sweep_module, "lost_holders", lambda: found)
    assert sweep() == 0
    assert Lease.objects.exists()


def test_an_unreadable_secret_keeps_nothing_leased(store: Store, settings: Any) -> None:
    due(hook())
    store.turn([], 10)
    die(store)
    settings.FERNET_KEYS = ["a lost key, long and dull"]
    assert sweep() == 1


def test_leases_of_a_deleted_webhook_are_freed(store: Store) -> None:
    made = hook()
    due(made)
    store.turn([], 10)
    delete_webhook(made)
    die(store)
    assert sweep() == 1


def test_a_lease_without_a_delivery_is_cleared_away() -> None:
    Lease.objects.create(delivery_id=uuid.uuid4(), webhook_id=uuid.uuid4(), owner=uuid.uuid4(), token=uuid.uuid4())
    assert sweep() == 0
    assert not Lease.objects.exists()


def test_a_sweep_costs_the_same_for_any_number_of_leases(store: Store, django_assert_max_num_queries: Any) -> None:
    for count in (1, 30):
        store = worker()
        due(hook(), count)
        store.turn([], 400)
        die(store)
        with django_assert_max_num_queries(22):
            assert sweep() == count
        WebhookDelivery.objects.all().delete()


def test_a_delivery_that_is_lost_with_its_worker_again_is_put_off(store: Store) -> None:
    row = due(hook(), 1)[0]
    for expected_step in (0, 1):
        lost = worker()
        assert ids(lost.turn([], 10).claimed) == [row.id]
        die(lost)
        assert sweep() == 1
        row.refresh_from_db()
        assert (row.status, row.step) == ("pending", expected_step)
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > timezone.now() + timedelta(seconds=2)
    assert worker().turn([], 10).claimed == []
    assert_truth()
