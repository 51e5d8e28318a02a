"""What only PostgreSQL does: row locks that others hold, one round trip a stage, the connection's set-up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.bus import publish
from tests.webhooks.engine_kit import assert_truth, due, hook, ids, result, state_of, worker
from webhooks.engine.store_postgres import PostgresStore
from webhooks.models import DeliveryAttempt, DueHint, Lease, Webhook, WebhookState

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time"),
]


@contextmanager
def held_elsewhere(webhook: Webhook) -> Iterator[None]:
    """Lock a webhook's state in another connection, as another worker's turn does."""
    locked, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(WebhookState.objects.select_for_update().filter(webhook=webhook))
            locked.set()
            go_on.wait(30)
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(10)
    try:
        yield
    finally:
        go_on.set()
        thread.join()


def test_a_webhook_that_another_holds_is_hinted_at_anew() -> None:
    store, made, other = worker(), hook(), hook(events=["custom.other"])
    with held_elsewhere(made):
        publish("custom.a", {})
        publish("custom.other", {})
        batch = store.turn([], 10)
        assert [one.target.webhook_id for one in batch.claimed] == [other.id], "it neither waits for the other worker nor for its webhook"
        assert batch.due_in == 0.05, "the next turn comes soon, but not at once: the other may hold it for long"
        assert [(hint.webhook_id, hint.count) for hint in DueHint.objects.all()] == [(made.id, 2)]
    assert len(store.turn([], 10).claimed) == 2
    assert state_of(made).pending_count == 2
    assert_truth()


def test_two_workers_together_keep_to_the_cap_of_a_webhook(monkeypatch: pytest.MonkeyPatch) -> None:
    """One's first look comes while the other claims; the other commits before the one locks what was hinted at."""
    made = hook(concurrency=2)
    first, second = worker(), worker()
    due(made, 10)
    held, go_on = threading.Event(), threading.Event()
    finish, lock_hinted = PostgresStore.finish, PostgresStore._lock_hinted

    def slow_finish(self: Any, *given: Any) -> Any:
        if self is first:
            held.set()
            assert go_on.wait(30)
        return finish(self, *given)

    def claim_first() -> None:
        first.turn([], 10)
        connection.close()

    thread = threading.Thread(target=claim_first)

    def late(self: Any, *given: Any) -> None:
        go_on.set()
        thread.join()
        lock_hinted(self, *given)

    monkeypatch.setattr(PostgresStore, "finish", slow_finish)
    monkeypatch.setattr(PostgresStore, "_lock_hinted", late)
    thread.start()
    assert held.wait(30)
    publish("custom.a", {})
    assert second.turn([], 10).claimed == []
    assert Lease.objects.count() == 2
    assert_truth()


def test_a_hint_of_a_webhook_that_is_gone_is_dropped() -> None:
    store = worker()
    made = hook()
    DueHint.objects.create(webhook_id=worker().worker_id, due_at=made.created_at, count=1)
    batch = store.turn([], 10)
    assert (batch.claimed, DueHint.objects.count(), batch.due_in) == ([], 0, None)


def test_webhooks_due_beyond_the_first_look_are_served_and_not_taken_for_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    from webhooks.engine import store_postgres

    store, hooks = worker(), [hook() for _ in range(3)]
    for made in hooks:
        due(made)
    monkeypatch.setattr(store_postgres, "WEBHOOKS_AT_ONCE", 1)
    with held_elsewhere(hooks[0]):
        (one,) = store.turn([], 10).claimed
    assert one.target.webhook_id == hooks[1].id, "the first look saw only the one that is held"
    assert all(state_of(made).enabled for made in hooks)


def test_a_deleted_webhook_is_not_served() -> None:
    store, made = worker(), hook()
    due(made)
    Webhook.objects.filter(id=made.id).update(deleted_at=made.created_at)
    assert store.turn([], 10).claimed == []
    assert not state_of(made).enabled


def test_a_turn_commits_with_its_last_stage() -> None:
    store, made = worker(), hook()
    due(made, 2)
    with CaptureQueriesContext(connection) as captured:
        (one, other) = store.turn([], 10).claimed
        assert connection.connection.info.transaction_status.name == "IDLE"
        store.turn([result(one)], 0)
    assert not [query for query in captured.captured_queries if query["sql"].split()[0] not in ("BEGIN", "COMMIT", "SELECT")]
    seen: list[Any] = []

    def look() -> None:
        seen.append((DeliveryAttempt.objects.count(), ids([other]) == list(Lease.objects.values_list("delivery_id", flat=True))))
        connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [(1, True)]
    assert_truth()


def test_a_turn_within_a_transaction_leaves_its_end_to_that() -> None:
    store, made = worker(), hook()
    due(made)
    with transaction.atomic():
        assert len(store.turn([], 10).claimed) == 1
        transaction.set_rollback(True)
    assert not Lease.objects.exists()
    assert_truth()


def test_every_connection_of_an_engine_looks_up_by_indexes() -> None:
    store = worker()

    def setting() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW enable_seqscan")
            return str(cursor.fetchone()[0])

    store.turn([], 1)
    assert setting() == "off"
    connection.close()
    assert setting() == "on"
    store.turn([], 1)
    assert setting() == "off"
    connection.close()
