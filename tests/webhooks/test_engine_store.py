from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import leases
from core.bus import publish
from core.errors import Conflict
from core.models import Worker
from tests.factories import EventFactory
from tests.webhooks.engine_kit import assert_truth, due, hook, ids, per_hook, reply, result, state_of, worker
from webhooks.choices import BreakerState, ErrorClass, HoldReason, Lane, Outcome
from webhooks.engine import store as store_module
from webhooks.engine.due import recompute
from webhooks.engine.store import Store, WorkerBuried
from webhooks.engine.stores import new_store
from webhooks.engine.sweep import sweep
from webhooks.models import DeliveryAttempt, DueHint, Lease, Webhook, WebhookDelivery, WebhookState
from webhooks.services import cancel, delete_webhook, disable, enable, redeliver, update_webhook

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


@pytest.fixture
def store(db: None) -> Store:
    return worker()


def claim(store: Store, free: int = 100) -> list[Any]:
    return store.turn([], free).claimed


# --- claim ------------------------------------------------------------------------------------------------------------


def test_due_deliveries_are_leased_oldest_first_with_all_they_need(store: Store) -> None:
    made = hook(headers={"X-A": "b"})
    event = EventFactory(payload={"a": 1}, size=7, request_id="req-1")
    rows = due(made, 3, event=event)
    batch = store.turn([], 100)
    assert ids(batch.claimed) == [row.id for row in rows]
    first = batch.claimed[0]
    assert first.body.startswith(f'{{"id":"{event.id}","type":"custom.thing","timestamp":"'.encode())
    assert first.body.endswith(b'Z","data":{"a":1}}')
    assert (first.row.size, first.row.request_id, first.row.attempts, first.row.step, first.row.trigger) == (7, "req-1", 0, 0, "auto")
    assert abs(first.row.event_at - event.created_at.timestamp()) < 0.001
    assert (first.target.headers, first.target.webhook_id) == ({"X-A": "b"}, made.id)
    assert set(Lease.objects.values_list("delivery_id", "webhook_id", "owner", "token")) == {
        (row.id, made.id, store.worker_id, first.token) for row in rows
    }


def test_what_is_leased_is_not_claimed_again(store: Store) -> None:
    due(hook(), 2)
    assert len(claim(store)) == 2
    assert claim(store) == []
    assert claim(worker()) == []


def test_what_is_not_due_yet_waits_and_the_turn_says_until_when(store: Store) -> None:
    (row,) = due(hook(), ago=-60)
    batch = store.turn([], 10)
    assert batch.claimed == []
    assert batch.due_in == pytest.approx((row.next_attempt_at - timezone.now()).total_seconds(), abs=5)


def test_without_free_places_nothing_is_claimed(store: Store) -> None:
    due(hook())
    assert store.turn([], 0).claimed == []
    assert not Lease.objects.exists()


def test_an_empty_turn_finds_nothing(store: Store) -> None:
    batch = store.turn([], 10)
    assert (batch.claimed, batch.due_in) == ([], None)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_than_the_cap_is_under_way_here_and_elsewhere(store: Store, concurrency: int) -> None:
    made = hook(concurrency=concurrency)
    due(made, 10)
    first = claim(store)
    assert len(first) == concurrency
    assert state_of(made).full
    other = worker()
    assert claim(other) == []
    recompute([made.id])  # somebody changed something: it looks free again
    assert claim(other) == []
    again = store.turn([result(first[0])], 100).claimed
    assert len(again) == 1
    assert Lease.objects.count() == concurrency
    assert_truth()


def test_a_raised_cap_counts_at_once(store: Store) -> None:
    made = hook(concurrency=1)
    due(made, 5)
    assert len(claim(store)) == 1
    update_webhook(made, {"concurrency": 3})
    assert len(claim(store)) == 2


def test_free_places_are_shared_among_those_that_have_something_due(store: Store) -> None:
    hooks = [hook() for _ in range(4)]
    for number, made in enumerate(hooks):
        due(made, 50, ago=100 - number)
    found = per_hook(claim(store, 16))
    assert found == {hooks[0].id: 8, hooks[1].id: 4, hooks[2].id: 2, hooks[3].id: 1}


def test_a_hanging_endpoint_never_takes_the_last_places(store: Store) -> None:
    hanging = hook(concurrency=500)
    due(hanging, 50, ago=1000)
    open_here = 0
    for _turn in range(10):
        open_here += len(claim(store, 8 - open_here))
    assert open_here == 4
    healthy = hook()
    due(healthy, 3)
    assert healthy.id in per_hook(claim(store, 8 - open_here))


def test_a_place_that_falls_vacant_goes_to_whoever_has_least(store: Store) -> None:
    slow = [hook() for _ in range(4)]
    for made in slow:
        due(made, 50, ago=1000)
    opened: list[Any] = []
    while new := claim(store, 8 - len(opened)):
        opened += new
    assert len(opened) == 8
    fresh = hook()
    due(fresh)
    busiest = max(per_hook(opened).items(), key=lambda item: item[1])[0]
    ended = next(one for one in opened if one.target.webhook_id == busiest)
    assert per_hook(store.turn([result(ended)], 1).claimed) == {fresh.id: 1}


def test_those_with_the_fewest_requests_open_come_first(store: Store) -> None:
    hooks = [hook() for _ in range(6)]
    for number, made in enumerate(hooks):
        due(made, 50, ago=1000 - number)
    opened = [claim(store, 1)[0] for _ in hooks]
    assert [one.target.webhook_id for one in opened] == [made.id for made in hooks]
    publish("custom.a", {})  # all of them are looked at anew
    again = store.turn([result(one) for one in opened[4:]], 2).claimed
    assert per_hook(again) == {hooks[4].id: 1, hooks[5].id: 1}


def test_a_webhook_at_its_share_is_claimed_for_again_when_a_request_ends(store: Store) -> None:
    due(hook(concurrency=500), 50)
    first = claim(store, 4)
    assert len(first) == 2
    batch = store.turn([], 2)
    assert (batch.claimed, batch.due_in) == ([], None)  # nothing to spin on
    assert len(store.turn([result(first[0])], 3).claimed) == 1


def test_urgent_lanes_leave_first(store: Store) -> None:
    made = hook(concurrency=3)
    low, normal, high = (due(made, 2, ago=ago, lane=lane) for ago, lane in ((30, Lane.LOW), (20, Lane.NORMAL), (10, Lane.HIGH)))
    assert ids(claim(store)) == [high[0].id, high[1].id, normal[0].id]
    assert low


def test_one_turn_is_bounded_by_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BYTES_AT_ONCE", 1000)
    made = hook()
    rows = [*due(made, event=EventFactory(size=600)), *due(made, event=EventFactory(size=300)), *due(made, event=EventFactory(size=500))]
    rows.sort(key=lambda row: row.next_attempt_at)
    first = claim(store)
    assert ids(first) == [rows[0].id, rows[1].id]
    assert Lease.objects.count() == 2
    assert ids(claim(store)) == [rows[2].id]
    assert_truth()


def test_one_that_is_larger_than_all_is_sent_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BYTES_AT_ONCE", 10)
    due(hook(), 3, event=EventFactory(size=600))
    assert len(claim(store)) == 1


def test_a_large_payload_is_sent_to_the_letter(store: Store) -> None:
    payload = {"z": "x" * 100_000, "a": "\ud800\0", "n": 2**70}
    event = publish("custom.big", payload) if hook() else None
    assert event is not None
    (one,) = claim(store)
    from core.fields import RawJSONField

    assert one.body.endswith(f'"data":{RawJSONField.dump(payload)}}}'.encode())


def test_an_unreadable_secret_of_one_webhook_harms_no_other(store: Store, settings: Any) -> None:
    good = hook()
    keys = settings.FERNET_KEYS
    settings.FERNET_KEYS = ["a lost key, long and dull"]
    bad = hook()
    settings.FERNET_KEYS = keys
    due(good)
    due(bad)
    found = {one.target.webhook_id: one.target.problem for one in claim(store)}
    assert found[good.id] == ""
    assert "FERNET_KEYS" in found[bad.id]


# --- parked -----------------------------------------------------------------------------------------------------------


def test_deliveries_of_a_disabled_webhook_are_parked_and_leave_when_it_is_enabled(store: Store) -> None:
    made = hook()
    disable(made)
    publish("custom.a", {})
    due(made, 2)
    batch = store.turn([], 100)
    assert (batch.claimed, batch.due_in) == ([], None)
    assert state_of(made).pending_count == 3
    enable(made)
    assert len(claim(store)) == 3
    assert_truth()


def test_of_a_deleted_webhook_nothing_leaves(store: Store) -> None:
    made = hook()
    due(made)
    delete_webhook(made)
    assert claim(store) == []


def test_a_deleted_webhook_that_was_left_enabled_is_not_found_due_for_ever(store: Store) -> None:
    made = hook()
    due(made)
    Webhook.objects.filter(id=made.id).update(deleted_at=timezone.now())
    assert store.turn([], 10).due_in is None
    assert not state_of(made).enabled


def test_disabled_in_flight_ends_but_nothing_new_begins(store: Store) -> None:
    made = hook(concurrency=1)
    due(made, 2)
    (one,) = claim(store)
    disable(made)
    assert store.turn([result(one)], 100).claimed == []
    assert (state_of(made).success_count, state_of(made).pending_count) == (1, 1)
    assert_truth()


# --- holds, breaker, rate limit ---------------------------------------------------------------------------------------


def test_a_hold_parks_everything_until_it_ends(store: Store) -> None:
    made = hook()
    due(made, 3)
    until = timezone.now() + timedelta(minutes=5)
    WebhookState.objects.update(hold_until=until, hold_reason=HoldReason.RETRY_AFTER)
    recompute([made.id])
    batch = store.turn([], 10)
    assert batch.claimed == []
    assert batch.due_in == pytest.approx((until - timezone.now()).total_seconds(), abs=5)
    WebhookState.objects.update(hold_until=timezone.now())
    recompute([made.id])
    assert len(claim(store)) == 3
    assert (state_of(made).hold_until, state_of(made).hold_reason) == (None, "")


def test_retry_after_holds_the_webhook_and_its_delivery(store: Store) -> None:
    made = hook()
    due(made, 5)
    batch = claim(store, 2)
    before = timezone.now()
    again = store.turn([result(batch[0], reply(429, retry_after=60.0))], 10)
    assert again.claimed == []
    state = state_of(made)
    assert state.hold_reason == HoldReason.RETRY_AFTER
    assert state.hold_until is not None
    assert state.hold_until >= before + timedelta(seconds=59)
    assert state.hold_until == state.next_due_at
    assert again.due_in == pytest.approx((state.hold_until - timezone.now()).total_seconds(), abs=5)
    assert_truth()


def test_an_open_breaker_is_probed_by_single_requests(store: Store) -> None:
    made = hook(concurrency=50)
    due(made, 10)
    WebhookState.objects.update(breaker=BreakerState.OPEN, breaker_trips=1, hold_until=timezone.now(), hold_reason=HoldReason.BREAKER)
    recompute([made.id])
    (probe,) = claim(store)
    assert state_of(made).breaker == BreakerState.HALF_OPEN
    assert claim(store) == []
    assert store.turn([result(probe, 500)], 100).claimed == []
    state = state_of(made)
    assert (state.breaker, state.breaker_trips, state.hold_reason) == (BreakerState.OPEN, 2, HoldReason.BREAKER)
    WebhookState.objects.update(hold_until=timezone.now())
    recompute([made.id])
    (probe,) = claim(store)
    assert len(store.turn([result(probe, 200)], 100).claimed) == 8  # the failed one waits for its retry
    assert state_of(made).breaker == BreakerState.CLOSED
    assert_truth()


def test_leftovers_in_flight_keep_a_probe_back(store: Store) -> None:
    made = hook(concurrency=50)
    due(made, 10)
    leftovers = claim(store, 8)
    WebhookState.objects.update(breaker=BreakerState.OPEN, breaker_trips=1, hold_until=timezone.now(), hold_reason=HoldReason.BREAKER)
    recompute([made.id])
    assert claim(store) == []
    after = store.turn([result(one, 500) for one in leftovers], 100).claimed
    assert len(after) == 1
    assert (state_of(made).breaker, state_of(made).breaker_trips) == (BreakerState.HALF_OPEN, 1)


def test_the_rate_limit_grants_one_seconds_worth_and_then_holds(store: Store) -> None:
    made = hook(rate_limit=3.0)
    due(made, 10)
    began = time.monotonic()
    assert len(claim(store)) == 3
    state = state_of(made)
    assert state.hold_reason == HoldReason.RATE_LIMIT
    assert state.next_due_at == state.hold_until
    # none, but on a machine so busy that a third of a second has passed
    assert len(claim(store)) <= (time.monotonic() - began) * 3.0
    WebhookState.objects.update(hold_until=F("hold_until") - timedelta(seconds=1), tokens_at=F("tokens_at") - timedelta(seconds=1))
    recompute([made.id])
    assert len(claim(store)) == 3


def test_the_rate_limit_holds_for_all_workers_together(store: Store) -> None:
    made = hook(rate_limit=4.0)
    due(made, 20)
    began = time.monotonic()
    claimed = sum(len(claim(one)) for one in (store, worker(), worker()))
    assert 4 <= claimed <= 4 + (time.monotonic() - began) * 4.0


# --- record -----------------------------------------------------------------------------------------------------------


def test_a_success_is_recorded_with_its_attempt(store: Store) -> None:
    made = hook()
    (row,) = due(made)
    (one,) = claim(store)
    ended = result(one, reply(201, headers={"date": "today"}, body=b"ok", truncated=True))
    store.turn([ended], 0)
    row.refresh_from_db()
    assert (row.status, row.attempts, row.step, row.last_status_code, row.next_attempt_at) == ("success", 1, 1, 201, None)
    assert row.finished_at is not None
    (logged,) = DeliveryAttempt.objects.all()
    assert (logged.delivery_id, logged.webhook_id, logged.number, logged.outcome, logged.trigger) == (
        row.id,
        made.id,
        1,
        Outcome.SUCCESS,
        "auto",
    )
    assert (logged.status_code, logged.response_headers, logged.response_body, logged.response_truncated) == (
        201,
        {"date": "today"},
        "ok",
        True,
    )
    assert logged.request_headers["webhook-id"] == str(one.row.event_id)
    assert (logged.address, logged.url, logged.error_class, logged.error) == ("192.0.2.1", made.url, "", "")
    assert not Lease.objects.exists()
    assert state_of(made).last_success_at == ended.ended_at
    assert_truth()


def test_a_retry_is_due_again_by_its_schedule(store: Store) -> None:
    made = hook(retry_config={"schedule": [30, 60]})
    (row,) = due(made)
    (one,) = claim(store)
    ended = result(one, 500)
    store.turn([ended], 10)
    row.refresh_from_db()
    assert (row.status, row.attempts, row.step, row.last_error_class) == ("pending", 1, 1, ErrorClass.SERVER_ERROR)
    assert row.next_attempt_at == ended.ended_at + timedelta(seconds=30)
    assert row.finished_at is None
    assert DeliveryAttempt.objects.get().next_attempt_at == row.next_attempt_at
    assert state_of(made).next_due_at == row.next_attempt_at
    assert_truth()


def test_the_last_attempt_of_a_schedule_fails_it(store: Store) -> None:
    made = hook(retry_config={"schedule": []})
    (row,) = due(made)
    store.turn([result(claim(store)[0], 500)], 0)
    row.refresh_from_db()
    assert (row.status, row.next_attempt_at, state_of(made).failed_count) == ("failed", None, 1)
    assert_truth()


def test_a_batch_of_mixed_outcomes_is_recorded_in_whole(store: Store) -> None:
    hooks = [hook() for _ in range(3)]
    for made in hooks:
        due(made, 4)
    batch = claim(store)
    statuses = [200, 404, 500, 429]
    ended = [result(one, statuses[number % 4]) for number, one in enumerate(batch)]
    store.turn(ended, 0)
    assert DeliveryAttempt.objects.count() == len(batch) == 12
    assert_truth()
    assert {row.status for row in WebhookDelivery.objects.all()} == {"success", "failed", "pending"}


def test_bodies_that_databases_refuse_are_stored_readably(store: Store) -> None:
    due(hook())
    store.turn([result(claim(store)[0], reply(500, body=b"caf\xe9 \x00 \xed\xa0\x80 password=hush"))], 0)
    body = DeliveryAttempt.objects.get().response_body
    assert body.startswith("caf\N{REPLACEMENT CHARACTER} \N{SYMBOL FOR NULL}")
    assert "hush" not in body


def test_a_stale_token_is_dropped_without_a_trace(store: Store) -> None:
    made = hook()
    (row,) = due(made)
    (one,) = claim(store)
    Lease.objects.update(token=uuid.uuid4())
    store.turn([result(one, 200)], 0)
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("pending", 0)
    assert not DeliveryAttempt.objects.exists()
    assert (state_of(made).success_count, state_of(made).pending_count) == (0, 1)
    assert Lease.objects.exists()


def test_a_turn_repeated_after_a_lost_answer_changes_nothing(store: Store) -> None:
    made = hook()
    due(made, 3)
    ended = [result(one, status) for one, status in zip(claim(store), (200, 404, 500), strict=True)]
    store.turn(ended, 0)
    before = (list(WebhookState.objects.values()), list(WebhookDelivery.objects.order_by("id").values()))
    store.turn(ended, 0)
    assert (list(WebhookState.objects.values()), list(WebhookDelivery.objects.order_by("id").values())) == before
    assert DeliveryAttempt.objects.count() == 3


def test_a_delivery_that_ended_twice_in_one_batch_counts_once_under_its_valid_token(store: Store) -> None:
    made = hook()
    (row,) = due(made)
    (old,) = claim(store)
    store.give_back([row.id])
    (new,) = claim(store)
    for order in ([result(old, 500), result(new, 200)],):
        store.turn(order, 0)
    row.refresh_from_db()
    assert (row.status, row.attempts) == ("success", 1)
    assert DeliveryAttempt.objects.get().outcome == Outcome.SUCCESS
    assert (state_of(made).success_count, state_of(made).consecutive_failures) == (1, 0)
    assert_truth()


def test_a_result_of_a_purged_webhook_is_dropped(store: Store) -> None:
    made = hook()
    due(made)
    (one,) = claim(store)
    Lease.objects.all().delete()
    WebhookDelivery.objects.all().delete()
    Webhook.objects.filter(id=made.id).delete()
    assert store.turn([result(one)], 10).claimed == []


def test_410_disables_and_parks_the_rest(store: Store) -> None:
    made = hook(concurrency=1)
    due(made, 3)
    assert store.turn([result(claim(store)[0], 410)], 10).claimed == []
    made.refresh_from_db(fields=["status", "inactive_reason"])
    assert (made.status, made.inactive_reason) == ("inactive", "gone")
    state = state_of(made)
    assert (state.enabled, state.next_due_at, state.pending_count, state.failed_count) == (False, None, 2, 1)
    assert_truth()


# --- hints ------------------------------------------------------------------------------------------------------------


def test_what_publishers_left_is_counted_once(store: Store) -> None:
    made = hook()
    for _ in range(3):
        publish("custom.a", {})
    assert state_of(made).pending_count == 0
    assert len(claim(store)) == 3
    assert not DueHint.objects.exists()
    assert state_of(made).pending_count == 3
    store.turn([], 10)
    assert state_of(made).pending_count == 3
    assert_truth()


def test_hints_are_folded_while_recording_too(store: Store) -> None:
    made = hook()
    due(made)
    (one,) = claim(store)
    publish("custom.a", {})
    store.turn([result(one)], 0)
    assert not DueHint.objects.exists()
    assert (state_of(made).pending_count, state_of(made).success_count) == (1, 1)
    assert_truth()


def test_hints_of_webhooks_that_are_gone_are_dropped(store: Store) -> None:
    DueHint.objects.create(webhook_id=uuid.uuid4(), due_at=timezone.now())
    assert store.turn([], 10).claimed == []
    assert not DueHint.objects.exists()


def test_many_hints_are_taken_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in {store_module, __import__(type(store).__module__, fromlist=["x"])}:
        monkeypatch.setattr(module, "HINTS_AT_ONCE", 2)
    made = hook()
    for _ in range(5):
        publish("custom.a", {})
    for left in (3, 1, 0):
        store.turn([], 0)
        assert DueHint.objects.count() == left
    assert_truth()
    assert state_of(made).pending_count == 5


def test_while_hints_are_left_the_next_turn_comes_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in {store_module, __import__(type(store).__module__, fromlist=["x"])}:
        monkeypatch.setattr(module, "HINTS_AT_ONCE", 2)
    made = hook(concurrency=100)
    disable(made)
    for _ in range(3):
        publish("custom.a", {})
    assert store.turn([], 10).due_in == 0.0
    assert store.turn([], 10).due_in is None


def test_it_can_be_asked_cheaply_whether_there_is_anything(store: Store) -> None:
    made = hook()
    assert not store.peek()
    publish("custom.a", {})
    assert store.peek()
    claim(store)
    assert not store.peek()
    due(made)
    assert store.peek()


# --- leases -----------------------------------------------------------------------------------------------------------


def test_a_buried_worker_cannot_claim_but_records_what_its_tokens_allow(store: Store) -> None:
    made = hook(concurrency=1)
    due(made, 2)
    (one,) = claim(store)
    Worker.objects.all().delete()
    with pytest.raises(WorkerBuried):
        store.turn([result(one)], 10)
    assert (DeliveryAttempt.objects.count(), state_of(made).success_count, Lease.objects.count()) == (1, 1, 0)
    assert_truth()


def test_a_worker_that_was_swept_loses_its_outcomes(store: Store) -> None:
    made = hook()
    due(made)
    (one,) = claim(store)
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    assert sweep() == 1
    with pytest.raises(WorkerBuried):
        store.turn([result(one)], 10)
    assert [attempt.outcome for attempt in DeliveryAttempt.objects.all()] == [Outcome.WORKER_LOST]
    assert_truth()


def test_a_turn_that_claims_is_a_sign_of_life(store: Store) -> None:
    Worker.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    store.turn([], 1)
    assert not Worker.objects.filter(leases.lapsed(), kind=store_module.WORKER_KIND).exists()


def test_what_is_given_back_is_due_at_once(store: Store) -> None:
    made = hook(concurrency=2)
    due(made, 3)
    first = claim(store)
    store.give_back([first[0].delivery_id])
    assert Lease.objects.get().delivery_id == first[1].delivery_id
    assert not state_of(made).full
    assert ids(claim(store)) == [first[0].delivery_id]
    assert not DeliveryAttempt.objects.exists()


def test_nobody_gives_back_what_another_holds(store: Store) -> None:
    due(hook(), 2)
    held = claim(store)
    worker().give_back(ids(held))
    worker().give_back_all_but(())
    assert Lease.objects.count() == 2


def test_leases_nobody_knows_of_are_given_back(store: Store) -> None:
    made = hook(concurrency=2)
    due(made, 4)
    known = claim(store)[0].token
    Lease.objects.filter(token=known).first().delete()  # type: ignore[union-attr]
    recompute([made.id])
    claim(store)
    assert Lease.objects.count() == 2
    store.give_back_all_but({known})
    assert set(Lease.objects.values_list("token", flat=True)) == {known}
    store.give_back_all_but(())
    assert not Lease.objects.exists()
    assert_truth()


# --- stages -----------------------------------------------------------------------------------------------------------


def test_the_stages_of_a_turn_come_in_the_order_of_their_locks(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def note(name: str) -> None:
        real = getattr(store, name)

        def call(*given: Any, **more: Any) -> Any:
            called.append(name)
            return real(*given, **more)

        monkeypatch.setattr(store, name, call)

    due(hook(concurrency=2), 3)
    for name in ("open", "lease", "finish"):
        note(name)
    first = store.turn([], 100).claimed
    store.turn([result(first[0])], 100)
    assert called == ["open", "lease", "finish"] * 2
    called.clear()
    store.turn([result(first[1])], 0)
    assert called == ["open", "finish"]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no round trips")
def test_each_stage_of_a_turn_is_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    from webhooks.engine import store_postgres

    store, trips = worker(), []
    real = store_postgres._together

    def together() -> Any:
        trips.append(1)
        return real()

    hooks = [hook(concurrency=2) for _ in range(3)]
    for made in hooks:
        due(made, 4)
    held = claim(store)
    monkeypatch.setattr(store_postgres, "_together", together)
    with CaptureQueriesContext(connection) as captured:
        assert len(store.turn([result(one) for one in held], 100).claimed) == 6
    assert len(trips) == 3
    assert {query["sql"].split()[0] for query in captured.captured_queries} <= {"SAVEPOINT", "RELEASE"}


def test_a_turn_that_claims_says_when_something_further_is_due(store: Store) -> None:
    made, other = hook(), hook()
    due(made)
    (row,) = due(other, ago=-60)
    batch = store.turn([], 10)
    assert len(batch.claimed) == 1
    assert batch.due_in == pytest.approx((row.next_attempt_at - timezone.now()).total_seconds(), abs=5)


def test_what_was_packed_beforehand_is_written_as_it_is(store: Store) -> None:
    made = hook()
    due(made, 2)
    ended = [result(one, status) for one, status in zip(claim(store), (200, 500), strict=True)]
    store.pack(ended[0])
    store.turn(ended, 0)
    assert sorted(DeliveryAttempt.objects.values_list("status_code", flat=True)) == [200, 500]
    assert [row.finished_at is None for row in WebhookDelivery.objects.order_by("next_attempt_at")].count(True) == 1
    assert_truth()


# --- cost -------------------------------------------------------------------------------------------------------------


def statements(store: Store, hooks: list[Any], count: int, ended_too: bool) -> int:
    for made in hooks:
        due(made, count)
    ended = [result(one) for one in claim(store, 400)] if ended_too else []
    if ended_too:
        for made in hooks:
            due(made, count)
    with CaptureQueriesContext(connection) as captured:
        batch = store.turn(ended, 400)
    assert len(batch.claimed) == count * len(hooks)
    store.give_back_all_but(())
    WebhookDelivery.objects.all().delete()
    return len(captured)


def test_a_claim_costs_the_same_number_of_statements_for_any_number_of_rows(store: Store) -> None:
    hooks = [hook(concurrency=100) for _ in range(2)]
    statements(store, hooks, 1, False)
    assert statements(store, hooks, 2, False) == statements(store, hooks, 40, False)


def test_a_turn_on_postgresql_costs_the_same_for_any_number_of_rows_and_webhooks() -> None:
    store = worker()
    hooks = [hook(concurrency=100) for _ in range(6)]
    few = statements(store, hooks[:1], 2, True)
    if connection.vendor == "postgresql":
        assert statements(store, hooks, 20, True) == few
    assert few < 40


def test_the_database_decides_which_store_is_used() -> None:
    expected = "PostgresStore" if connection.vendor == "postgresql" else "Store"
    assert type(new_store(uuid.uuid4())).__name__ == expected


# --- services and the engine together ---------------------------------------------------------------------------------


def test_redelivered_and_cancelled_deliveries_keep_the_counters_true(store: Store) -> None:
    made = hook()
    rows = due(made, 4)
    store.turn([result(one, status) for one, status in zip(claim(store), (200, 404, 500, 500), strict=True)], 0)
    redeliver(rows[0])
    redeliver(rows[1])
    cancel(rows[2])
    assert_truth()
    assert sorted(ids(claim(store))) == sorted([rows[0].id, rows[1].id])
    assert_truth()


def test_a_retry_of_a_redelivery_starts_its_schedule_anew(store: Store) -> None:
    made = hook(retry_config={"schedule": [30]})
    (row,) = due(made, step=1, attempts=1)
    store.turn([result(claim(store)[0], 500)], 0)
    row.refresh_from_db()
    assert row.status == "failed"
    redeliver(row)
    (one,) = claim(store)
    assert (one.row.trigger, one.row.step, one.row.attempts) == ("manual", 0, 2)
    store.turn([result(one, 500)], 0)
    row.refresh_from_db()
    assert (row.status, row.attempts, row.step) == ("pending", 3, 1)
    assert_truth()


def test_a_turn_that_fails_leaves_no_trace(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made = hook()
    due(made, 2)
    (one, other) = claim(store)
    publish("custom.a", {})

    finish = store.finish

    def fail(*given: Any) -> None:
        finish(*given)
        raise RuntimeError("bug")

    monkeypatch.setattr(store, "finish", fail)
    with pytest.raises(RuntimeError), transaction.atomic():
        store.turn([result(one)], 0)
    assert DueHint.objects.count() == 1
    assert Lease.objects.count() == 2
    assert not DeliveryAttempt.objects.exists()
    assert state_of(made).success_count == 0
    assert other


def test_a_deleted_webhook_cannot_be_enabled_behind_the_engines_back() -> None:
    made = hook()
    delete_webhook(made)
    with pytest.raises(Conflict, match="deleted"):
        enable(made)
    assert not state_of(made).enabled


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no clock of its own")
def test_what_is_due_is_judged_by_the_clock_of_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    row = due(hook(), 1)[0]
    late = worker()
    behind = timezone.now() - timedelta(minutes=1)
    monkeypatch.setattr("webhooks.engine.store.timezone.now", lambda: behind)
    assert ids(late.turn([], 10).claimed) == [row.id]
