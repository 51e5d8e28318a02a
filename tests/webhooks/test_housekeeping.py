from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import housekeeping, leases, runtime
from core.housekeeping import Batch
from core.ids import first_id_at
from core.models import Event, RuntimeSettings
from tests.connectors.jira.kit import tell
from tests.connectors.jira.stub import Jira
from tests.connectors.told import example
from webhooks import housekeeping as jobs
from webhooks.choices import DeliveryStatus, Outcome
from webhooks.destinations.memory import RowMemory
from webhooks.models import DeliveryAttempt, DestinationMemory, Lease, Webhook, WebhookDelivery, WebhookState

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def retention():
    RuntimeSettings.objects.create(pk=1, delivery_retention_days=30, event_retention_days=60)
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def webhook() -> Webhook:
    webhook = Webhook.objects.create(name="hook", url="https://example.com/", events=["*"], secrets=[])
    WebhookState.objects.create(webhook=webhook)
    return webhook


def _id_at(moment: datetime) -> uuid.UUID:
    return uuid.UUID(int=first_id_at(moment).int + uuid.uuid4().int % (1 << 60))


def _event(age: timedelta) -> Event:
    at = timezone.now() - age
    return Event.objects.create(id=_id_at(at), type="custom.sample", payload={}, size=2, created_at=at)


def _delivery(webhook: Webhook, status: DeliveryStatus, age: timedelta, finished: timedelta | None = None, attempts: int = 1, **values):
    at = timezone.now() - age
    delivery = WebhookDelivery.objects.create(
        id=_id_at(at),
        webhook=webhook,
        event=_event(age),
        event_type="custom.sample",
        status=status,
        attempts=attempts,
        created_at=at,
        finished_at=None if status == DeliveryStatus.PENDING else timezone.now() - (finished or age),
        **values,
    )
    DeliveryAttempt.objects.bulk_create(
        [
            DeliveryAttempt(
                delivery=delivery, webhook_id=webhook.id, number=number, outcome=Outcome.SUCCESS, started_at=at, url=webhook.url
            )
            for number in range(1, attempts + 1)
        ]
    )
    return delivery


def _left() -> set[uuid.UUID]:
    return set(WebhookDelivery.objects.values_list("id", flat=True))


def _run(name: str, **options) -> int:
    return housekeeping.run_now(housekeeping.find(name), **options)


# --- retention of deliveries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", jobs.FINISHED)
def test_finished_deliveries_go_after_their_time_with_their_attempts(webhook, status):
    _delivery(webhook, status, 31 * DAY, attempts=3)
    kept = _delivery(webhook, status, 29 * DAY)
    assert _run("webhooks.deliveries") == 4
    assert _left() == {kept.id}
    assert DeliveryAttempt.objects.get().delivery_id == kept.id


def test_a_pending_delivery_is_never_deleted(webhook):
    parked = _delivery(webhook, DeliveryStatus.PENDING, 400 * DAY)
    assert _run("webhooks.deliveries") == 0
    assert _left() == {parked.id}
    assert DeliveryAttempt.objects.count() == 1


def test_the_time_counts_from_the_end_of_a_delivery(webhook):
    late = _delivery(webhook, DeliveryStatus.SUCCESS, 50 * DAY, finished=2 * DAY)
    _run("webhooks.deliveries")
    assert _left() == {late.id}


def test_the_retention_is_the_setting_in_force(webhook):
    _delivery(webhook, DeliveryStatus.SUCCESS, 10 * DAY)
    RuntimeSettings.objects.update(delivery_retention_days=9)
    runtime.forget()
    _run("webhooks.deliveries")
    assert not _left()


def test_deliveries_of_a_deleted_webhook_are_left_to_its_purge(webhook):
    _delivery(webhook, DeliveryStatus.SUCCESS, 31 * DAY)
    Webhook.objects.update(deleted_at=timezone.now())
    assert _run("webhooks.deliveries") == 0


def test_a_dry_run_counts_and_deletes_nothing(webhook):
    for status in jobs.FINISHED:
        _delivery(webhook, status, 31 * DAY)
    assert _run("webhooks.deliveries", dry_run=True) == 3
    assert len(_left()) == 3
    assert _run("webhooks.events", dry_run=True) == 0


def test_no_commit_deletes_more_rows_than_the_batch_allows(webhook):
    for _ in range(4):
        _delivery(webhook, DeliveryStatus.SUCCESS, 31 * DAY, attempts=2)
    _delivery(webhook, DeliveryStatus.FAILED, 31 * DAY, attempts=17)
    steps, cursor = [], ""
    while True:
        step = jobs.prune_deliveries(Batch(limit=7, cursor=cursor))
        steps.append(step.rows)
        cursor = step.cursor
        if not cursor:
            break
    assert max(steps) <= 7
    assert sum(steps) == 4 * 3 + 18
    assert not _left()
    assert not DeliveryAttempt.objects.exists()


def test_a_batch_costs_the_same_number_of_statements_however_many_rows(webhook):
    counts = []
    runtime.current()
    for rows in (2, 20):
        for _ in range(rows):
            _delivery(webhook, DeliveryStatus.SUCCESS, 31 * DAY)
        with CaptureQueriesContext(connection) as queries:
            jobs.prune_deliveries(Batch(cursor="success"))
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert not _left()


def test_finding_old_deliveries_scans_an_index(webhook):
    if connection.vendor == "postgresql":  # of an empty table every index is as good as another
        with connection.cursor() as cursor:
            cursor.execute(_PENDING, [webhook.id, _event(timedelta()).id, 2000])
            cursor.execute("ANALYZE webhooks_webhookdelivery")
    with CaptureQueriesContext(connection) as queries:
        jobs.prune_deliveries(Batch(cursor="success"))
    sql = queries.captured_queries[-1]["sql"]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")
            cursor.execute("SET LOCAL enable_sort = off")
            cursor.execute("EXPLAIN " + sql)
        else:
            cursor.execute("EXPLAIN QUERY PLAN " + sql)
        plan = "\n".join(str(row) for row in cursor.fetchall())
    assert "delivery_status_idx" in plan
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


# --- retention of events ----------------------------------------------------------------------------------------------


def test_events_go_after_their_time_unless_a_delivery_needs_them(webhook):
    needed = _delivery(webhook, DeliveryStatus.PENDING, 61 * DAY).event
    _event(61 * DAY)
    young = _event(59 * DAY)
    assert _run("webhooks.events") == 1
    assert set(Event.objects.values_list("id", flat=True)) == {needed.id, young.id}


def test_a_batch_of_needed_events_does_not_hide_the_ones_behind_it(webhook):
    for _ in range(3):
        _delivery(webhook, DeliveryStatus.PENDING, 62 * DAY)
    _event(61 * DAY)
    assert jobs.prune_events(Batch(limit=2)).rows == 1


# --- what destinations remember ---------------------------------------------------------------------------------------


def _remembered(webhook: Webhook, key: str, age: timedelta, touched: timedelta | None = None, **data: str) -> None:
    row = DestinationMemory.objects.create(id=_id_at(timezone.now() - age), webhook=webhook, key=key, external_id="1", data=data)
    DestinationMemory.objects.filter(id=row.id).update(updated_at=timezone.now() - (touched or age))


def test_what_nothing_was_told_of_for_400_days_is_forgotten(webhook):
    _remembered(webhook, "mail:old", 401 * DAY)
    _remembered(webhook, "mail:young", 399 * DAY)
    _remembered(webhook, "status:told lately", 700 * DAY, touched=DAY)
    _remembered(webhook, "finding:settled", 500 * DAY, standing="resolved")
    assert _run("webhooks.memory", dry_run=True) == 2
    assert _run("webhooks.memory") == 2
    assert set(DestinationMemory.objects.values_list("key", flat=True)) == {"mail:young", "status:told lately"}


def test_tickets_that_are_open_are_never_forgotten_nor_in_the_way(webhook):
    tell(Jira(), example("gate.failed"), RowMemory(webhook.id))
    ticket = DestinationMemory.objects.get(data__has_key="standing")
    DestinationMemory.objects.filter(pk=ticket.pk).update(id=_id_at(timezone.now() - 900 * DAY), updated_at=timezone.now() - 900 * DAY)
    _remembered(webhook, "mail:1", 800 * DAY)
    _remembered(webhook, "mail:2", 700 * DAY)
    step = jobs.prune_memory(Batch(limit=2))
    assert (step.rows, bool(step.cursor)) == (1, True)
    assert jobs.prune_memory(Batch(limit=2, cursor=step.cursor)).rows == 1
    assert DestinationMemory.objects.filter(key=ticket.key).exists()
    assert jobs.prune_memory(Batch(limit=1)).rows == 0  # a batch of nothing else


# --- reconciling ------------------------------------------------------------------------------------------------------


def test_a_wrong_due_time_is_mended(webhook):
    due = timezone.now() - DAY
    _delivery(webhook, DeliveryStatus.PENDING, DAY, next_attempt_at=due)
    WebhookState.objects.update(next_due_at=None, oldest_due_at=None, full=True)
    assert _run("webhooks.due_times") == 1
    state = WebhookState.objects.get()
    assert (state.next_due_at, state.oldest_due_at, state.full) == (due, due, False)


def test_due_times_are_reconciled_in_batches(webhook, monkeypatch):
    monkeypatch.setattr(jobs, "_STATES_AT_ONCE", 1)
    other = Webhook.objects.create(name="other", url="https://example.com/", secrets=[])
    WebhookState.objects.create(webhook=other)
    assert _run("webhooks.due_times") == 2


def test_the_lease_of_an_unknown_worker_is_freed(webhook):
    due = timezone.now() - DAY
    lost, live = (_delivery(webhook, DeliveryStatus.PENDING, DAY, next_attempt_at=due) for _ in range(2))
    for delivery, owner in ((lost, uuid.uuid4()), (live, leases.register_worker("deliveries"))):
        Lease.objects.create(delivery_id=delivery.id, webhook_id=webhook.id, owner=owner, token=uuid.uuid4())
    assert _run("webhooks.orphaned_leases", dry_run=True) == 1
    assert _run("webhooks.orphaned_leases") == 1
    assert Lease.objects.get().delivery_id == live.id
    assert WebhookState.objects.get().next_due_at == due


def test_what_deleted_webhooks_left_is_removed(webhook):
    _delivery(webhook, DeliveryStatus.SUCCESS, DAY)
    Webhook.objects.update(deleted_at=timezone.now() - timedelta(hours=2))
    assert _run("webhooks.deleted", dry_run=True) == 1
    assert Webhook.objects.exists()
    assert _run("webhooks.deleted") > 0
    assert not Webhook.objects.exists()


_PENDING = """
INSERT INTO webhooks_webhookdelivery (id, webhook_id, event_id, event_type, lane, "trigger", status, attempts, step,
    next_attempt_at, last_error_class, last_error, created_at)
SELECT gen_random_uuid(), %s, %s, 'custom.thing', 1, 'auto', 'pending', 0, 0, now(), '', '', now() FROM generate_series(1, %s)
"""
