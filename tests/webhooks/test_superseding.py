from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from core.bus import Announcement, publish, publish_all
from core.housekeeping import Batch
from core.ids import first_id_at
from tests.factories import EventFactory
from tests.plans import nodes, plan, rows_read
from tests.webhooks.engine_kit import assert_truth, due, hook, reply, result, state_of, worker
from tests.webhooks.routing_kit import example, routed, sent
from webhooks import housekeeping
from webhooks.choices import DeliveryStatus, ErrorClass
from webhooks.engine import superseding
from webhooks.engine.superseding import expire_next, supersede_next
from webhooks.engine.upkeep import Sparing
from webhooks.models import Lease, SubjectMark, WebhookDelivery
from webhooks.services import redeliver, update_webhook

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
LATER: dict[str, Any] = {"supersede": True}


def gate(result: str = "failed", **data: Any) -> None:
    publish(f"gate.{result}", example(f"gate.{result}", **data))


def cancelled(reason: ErrorClass) -> list[WebhookDelivery]:
    return list(WebhookDelivery.objects.filter(status=DeliveryStatus.CANCELLED, last_error_class=reason).order_by("id"))


# --- superseding ------------------------------------------------------------------------------------------------------


def test_a_newer_word_on_the_same_thing_cancels_what_still_waits() -> None:
    made = routed(LATER)
    for result_of in ("failed", "passed", "failed"):
        gate(result_of)
    gate("failed", ref="dev")
    publish("custom.a", {})
    worker().turn([], 0)  # the counters know of them
    assert supersede_next()
    assert [event.type for event in sent(made)] == ["gate.failed", "gate.failed", "custom.a"]
    void = cancelled(ErrorClass.SUPERSEDED)
    assert [row.event_type for row in void] == ["gate.failed", "gate.passed"]
    assert all(row.finished_at and row.next_attempt_at is None and "Redeliver" in row.last_error for row in void)
    assert (state_of(made).pending_count, state_of(made).cancelled_count) == (3, 2)
    assert_truth()
    assert not supersede_next(), "it is done"
    assert SubjectMark.objects.filter(settled=True).count() == SubjectMark.objects.count() == 2


def test_what_came_before_but_was_committed_later_is_the_one_that_is_cancelled() -> None:
    made = routed(LATER)
    gate("failed")
    gate("passed")
    first = SubjectMark.objects.order_by("delivery_id")[0]
    SubjectMark.objects.filter(pk=first.pk).delete()
    supersede_next()
    first.save(force_insert=True)
    assert supersede_next()
    assert [event.type for event in sent(made)] == ["gate.passed"]


def test_webhooks_without_the_rule_and_other_webhooks_are_left_alone() -> None:
    plain, other = hook(events=["*"]), routed(LATER)
    gate()
    SubjectMark.objects.all().delete()
    assert not supersede_next()
    gate()
    assert supersede_next()
    assert (len(sent(plain)), len(sent(other))) == (2, 2)


def test_what_is_under_way_is_left_alone_and_looked_at_again_when_it_failed() -> None:
    made, store = routed(LATER), worker()
    gate("failed")
    (one,) = store.turn([], 10).claimed
    gate("passed")
    assert supersede_next(), "the newer one is settled"
    assert not supersede_next()
    assert (len(sent(made)), Lease.objects.count()) == (2, 1)
    store.turn([result(one, reply(500))], 0)
    assert supersede_next()
    (void,) = cancelled(ErrorClass.SUPERSEDED)
    assert (void.id, void.attempts, void.last_status_code) == (one.delivery_id, 1, 500)
    assert_truth()
    assert not supersede_next()


def test_what_was_superseded_can_be_sent_still_and_is_then_left_alone() -> None:
    made = routed(LATER)
    gate("failed")
    gate("failed")
    supersede_next()
    redeliver(cancelled(ErrorClass.SUPERSEDED)[0])
    gate("passed")
    supersede_next()
    assert [event.type for event in sent(made)] == ["gate.failed", "gate.passed"]
    assert_truth()


def test_killed_at_any_statement_the_next_look_does_it() -> None:
    for number in range(1, 40):
        made = routed(LATER)
        gate("failed")
        gate("passed")
        seen = 0

        def kill(execute: Any, *given: Any, last: int = number) -> Any:
            nonlocal seen
            seen += 1
            if seen == last:
                raise DatabaseError("killed")
            return execute(*given)

        killed = False
        with connection.execute_wrapper(kill):
            try:
                supersede_next()
            except DatabaseError:
                killed = True
        assert supersede_next() is killed
        assert [event.type for event in sent(made)] == ["gate.passed"]
        assert_truth()
        WebhookDelivery.objects.all().delete()
        made.delete()
        SubjectMark.objects.all().delete()
        if not killed:
            break
    assert number > 8


@pytest.mark.parametrize("count", [2, 60])
def test_it_takes_as_many_statements_for_many_as_for_two(count: int) -> None:
    routed(LATER)
    publish_all([Announcement("gate.failed", example("gate.failed", ref=f"b{n // 2}")) for n in range(count)])
    with CaptureQueriesContext(connection) as queries:
        supersede_next()
    assert len(cancelled(ErrorClass.SUPERSEDED)) == count // 2
    assert len(queries) <= 18


def test_a_flood_is_worked_off_in_portions_and_leaves_the_latest_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    made = routed(LATER)
    gate("failed", ref="quiet")
    supersede_next()
    monkeypatch.setattr(superseding, "_DELIVERIES_AT_ONCE", 3)
    publish_all([Announcement("gate.failed", example("gate.failed", commit=str(n))) for n in range(10)])
    gate("passed", ref="quiet")
    looks = 0
    while supersede_next():
        looks += 1
    assert looks <= 5
    assert [(event.type, event.payload["ref"]) for event in sent(made)] == [("gate.failed", "main"), ("gate.passed", "quiet")]
    assert sent(made)[0].payload["commit"] == "9"
    assert_truth()


def test_a_look_reads_so_many_marks_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = routed(LATER)
    monkeypatch.setattr(superseding, "_MARKS_AT_ONCE", 4)
    publish_all([Announcement("gate.failed", example("gate.failed", commit=str(n))) for n in range(10)])
    gate("passed", ref="quiet")
    assert supersede_next()
    assert SubjectMark.objects.count() in (8, 9)
    assert not SubjectMark.objects.filter(settled=True), "there may be older ones"
    while supersede_next():
        pass
    failed, passed = sent(made)
    assert (failed.payload["ref"], failed.payload["commit"], passed.payload["ref"]) == ("main", "9", "quiet")
    assert SubjectMark.objects.filter(settled=True).count() == SubjectMark.objects.count() == 2
    assert_truth()


def test_a_portion_ends_with_its_time_and_leaves_other_webhooks_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(superseding, "PORTION_SECONDS", 0)
    for rules in (LATER, LATER, {"expires_after": 60}, {"expires_after": 60}):
        routed(rules)
    gate("failed")
    gate("failed")
    age(90)
    SubjectMark.objects.all().delete()  # of ids that there are no more
    gate("failed")
    gate("failed")
    for count in (1, 2):
        assert supersede_next()
        assert len(cancelled(ErrorClass.SUPERSEDED)) == count
        assert expire_next()
        assert len(cancelled(ErrorClass.EXPIRED)) == 2 * count
    assert not supersede_next()
    assert not expire_next()


def test_marks_of_what_was_sent_are_forgotten() -> None:
    routed(LATER)
    gate("failed")
    gate("failed", ref="dev")
    supersede_next()
    WebhookDelivery.objects.filter(pk=WebhookDelivery.objects.order_by("id")[0].pk).update(status=DeliveryStatus.SUCCESS)
    assert housekeeping.prune_subjects(Batch(dry_run=True)).rows == 1
    assert housekeeping.prune_subjects(Batch()).rows == 1
    assert SubjectMark.objects.count() == 1


# --- expiring ---------------------------------------------------------------------------------------------------------


def age(seconds: float) -> None:
    """Make all deliveries older: their ids say when they were made."""
    for row in WebhookDelivery.objects.all():
        at = row.created_at - timedelta(seconds=seconds)
        id = uuid.UUID(int=first_id_at(at).int | row.id.int & (1 << 62) - 1)
        WebhookDelivery.objects.filter(pk=row.pk).update(id=id, created_at=at)


def test_what_waited_too_long_is_cancelled_instead_of_sent() -> None:
    made, patient = routed({"expires_after": 600}), hook(events=["*"])
    publish("custom.a", {})
    publish("custom.b", {})
    store = worker()
    store.turn([], 0)
    age(590)
    assert not expire_next()
    age(20)
    publish("custom.c", {})
    store.turn([], 0)
    assert expire_next()
    assert [event.type for event in sent(made)] == ["custom.c"]
    assert [row.event_type for row in cancelled(ErrorClass.EXPIRED)] == ["custom.a", "custom.b"]
    assert (len(sent(patient)), state_of(made).cancelled_count) == (3, 2)
    assert_truth()
    assert not expire_next()
    assert len(store.turn([], 10).claimed) == 4


def test_neither_what_is_under_way_nor_what_people_sent_again_expires() -> None:
    made = routed({"expires_after": 60})
    publish("custom.a", {})
    publish("custom.b", {})
    (one,) = worker().turn([], 1).claimed
    age_of = WebhookDelivery.objects.exclude(id=one.delivery_id).get()
    WebhookDelivery.objects.update(created_at=F("created_at") - timedelta(hours=1))
    redeliver(age_of)
    assert not expire_next()
    assert len(sent(made)) == 2


def test_a_changed_rule_counts_at_once() -> None:
    made = hook(events=["*"])
    publish("custom.a", {})
    age(120)
    update_webhook(made, {"routing": {"expires_after": 60}})
    assert expire_next()
    publish("custom.a", {})
    age(120)
    update_webhook(made, {"routing": None})
    assert not expire_next()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no such plan")
def test_what_has_expired_is_found_by_an_index_however_much_waits() -> None:
    made, event = routed({"expires_after": 3600}), EventFactory()
    due(made, 3000, event=event)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_webhookdelivery")
    with CaptureQueriesContext(connection) as queries:
        assert not expire_next()
    (query,) = queries
    root = plan(query["sql"].replace("%", "%%"), [])
    assert rows_read(root, "webhooks_webhookdelivery") <= 2
    assert ("Seq Scan", "webhooks_webhookdelivery") not in {(node["Node Type"], node.get("Relation Name")) for node in nodes(root)}


def test_a_long_look_for_nothing_rests_and_one_that_finds_something_goes_on():
    now, looks, found = [0.0], [], [True]

    def look():
        looks.append(now[0])
        now[0] += 0.3
        return found[0]

    sparing = Sparing(look, share=0.05, clock=lambda: now[0])
    assert sparing()
    assert sparing()
    found[0] = False
    assert not sparing()
    for _ in range(20):  # 10 seconds, half a second each
        sparing()
        now[0] += 0.5
    assert looks == pytest.approx([0.0, 0.3, 0.6, 6.9])


def test_a_look_may_rest_a_while_in_any_case():
    now, looks = [0.0], []
    sparing = Sparing(lambda: looks.append(now[0]) is None, clock=lambda: now[0], every=0.5)
    for _ in range(20):  # 2 seconds, a tenth each
        sparing()
        now[0] = round(now[0] + 0.1, 1)
    assert looks == [0.0, 0.5, 1.0, 1.5]
