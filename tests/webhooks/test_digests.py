from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core.bus import Announcement, publish, publish_all
from core.fields import RawJSON
from core.housekeeping import Batch
from core.models import Event
from integrations.contract.outbound import OutgoingEvent
from integrations.messages.digests import DIGEST_TYPE
from integrations.messages.message import message_of
from integrations.messages.reading import mapping
from tests.factories import RepositoryFactory, WebhookFactory, owner_of
from tests.webhooks.engine_kit import assert_truth, state_of, worker
from tests.webhooks.routing_kit import example, pass_time, routed, sent
from webhooks import housekeeping, selectors
from webhooks.choices import DeliveryStatus, ErrorClass, Lane
from webhooks.engine import digests
from webhooks.engine.digests import close_next
from webhooks.models import DigestEntry, DueHint, SubjectMark, Webhook, WebhookDelivery
from webhooks.services import delete_webhook, disable, purge, redeliver, update_webhook

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
MINUTE: dict[str, Any] = {"digest": {"window_seconds": 60}}


def told(event: Event) -> list[str]:
    """Return the ids of the events in a digest."""
    assert event.type == DIGEST_TYPE
    return [one["id"] for one in event.payload["events"]]


def close_all() -> int:
    count = 0
    while close_next():
        count += 1
    return count


# --- collecting -------------------------------------------------------------------------------------------------------


def test_four_hundred_findings_are_one_message_at_the_end_of_the_window() -> None:
    repository = RepositoryFactory()
    hook = routed(MINUTE)
    data = example("finding.opened.single")
    announcements = [Announcement("custom.finding", data | {"n": n}, repository_id=repository.id) for n in range(400)]
    events = publish_all(announcements)
    assert (sent(hook), DueHint.objects.count(), close_next()) == ([], 0, False)
    pass_time(61)
    assert close_all() == 1
    (digest,) = sent(hook)
    assert told(digest) == [str(event.id) for event in events]
    assert digest.payload["count"] == 400
    assert digest.payload["key"] == "repository=acme/shop"
    assert digest.payload["left_out"] == 0
    assert digest.payload["events"][7]["data"] == data | {"n": 7}
    assert digest.payload["events"][7]["type"] == "custom.finding"
    assert (digest.repository_id, digest.owner_id) == (repository.id, None)
    assert not DigestEntry.objects.exists()
    assert_truth()


def test_each_key_has_its_own_digest_and_windows_of_their_own() -> None:
    hook = routed({"digest": {"window_seconds": 60, "key": ["repository", "branch", "type"]}})
    for branch, kind in (("main", "a"), ("main", "b"), ("dev", "a"), ("main", "a")):
        publish(f"custom.{kind}", {"repository": "acme/shop", "branch": branch})
    pass_time(30)
    publish("custom.a", {"repository": "acme/shop", "branch": "new"})
    pass_time(31)
    assert close_all() == 3
    assert sorted(event.payload["key"] + f" {event.payload['count']}" for event in sent(hook)) == [
        "repository=acme/shop, branch=dev, type=custom.a 1",
        "repository=acme/shop, branch=main, type=custom.a 2",
        "repository=acme/shop, branch=main, type=custom.b 1",
    ]
    assert DigestEntry.objects.count() == 1


def test_only_what_passes_is_collected_and_a_digest_goes_to_its_webhook_alone(alice: User) -> None:
    mine = owner_of(alice)
    hook = routed(MINUTE | {"branches": ["main"]}, owner=mine)
    other = WebhookFactory(events=["*"])
    publish("custom.a", {"branch": "dev"}, owner_id=mine.id)
    publish("custom.a", {"branch": "main"}, owner_id=mine.id)
    publish("custom.a", {"branch": "main"})
    pass_time(61)
    assert close_all() == 1
    (digest,) = sent(hook)
    assert (digest.payload["count"], digest.owner_id) == (1, mine.id)
    assert [event.type for event in sent(other)] == ["custom.a"] * 3


def test_operational_events_leave_alone_and_at_once() -> None:
    hook = routed(MINUTE, events=["webhook.failing"])
    publish("webhook.failing", {"webhook_id": str(uuid.uuid4())})
    assert [event.type for event in sent(hook)] == ["webhook.failing"]


def test_a_digest_has_the_lane_of_its_most_urgent_event() -> None:
    routed(MINUTE | {"lanes": "severity"})
    publish("custom.a", {"repository": "acme/shop"})
    publish("gate.failed", example("gate.failed", findings=[{"severity": "critical"}]))
    pass_time(61)
    close_all()
    assert WebhookDelivery.objects.get().lane == Lane.HIGH


@pytest.mark.parametrize("events", [1, 80])
def test_publishing_takes_a_constant_number_of_statements_and_without_rules_none_more(events: int) -> None:
    announcements = [Announcement("custom.a", {}) for _ in range(events)]
    routed(MINUTE)
    with CaptureQueriesContext(connection) as queries:
        publish_all(announcements)
    assert len(queries) == 6  # savepoint, events, subscriptions, scopes, entries, release
    WebhookFactory()
    with CaptureQueriesContext(connection) as queries:
        publish_all(announcements)
    assert len(queries) == 8  # and deliveries, hints


# --- closing ----------------------------------------------------------------------------------------------------------


def test_a_window_waits_for_quiet_but_not_beyond_its_end() -> None:
    hook = routed({"digest": {"window_seconds": 60, "quiet_seconds": 10}})
    publish("custom.a", {})
    for _ in range(4):
        pass_time(9)
        publish("custom.a", {})
        assert not close_next()
    pass_time(11)
    assert close_next()
    assert [event.payload["count"] for event in sent(hook)] == [5]
    publish("custom.a", {})
    for _ in range(7):
        pass_time(9)
        close_next()
        publish("custom.a", {})
    assert [event.payload["count"] for event in sent(hook)] == [5, 7]


def test_what_is_looked_at_in_vain_is_not_looked_at_again_before_it_may_be_over() -> None:
    routed({"digest": {"window_seconds": 60, "quiet_seconds": 10}})
    publish("custom.a", {})
    pass_time(9)
    publish("custom.a", {})
    pass_time(2)
    assert not close_next()
    with CaptureQueriesContext(connection) as queries:
        assert not close_next()
    assert len(queries) == 1


def test_more_than_a_digest_holds_leaves_in_several() -> None:
    hook = routed({"digest": {"window_seconds": 60, "max_events": 40}})
    events = publish_all([Announcement("custom.a", {"n": n}) for n in range(100)])
    pass_time(61)
    assert close_all() == 3
    assert [event.payload["count"] for event in sent(hook)] == [40, 40, 20]
    assert sorted(id for event in sent(hook) for id in told(event)) == sorted(str(event.id) for event in events)


def test_the_largest_data_are_left_out_until_the_rest_fits(settings: Any) -> None:
    hook = routed(MINUTE)
    sizes = [9_000, 100, 30_000, 200, 9_000]
    events = publish_all([Announcement("custom.a", {"text": "x" * size}) for size in sizes])
    settings.EVENT_MAX_BYTES = 20_000
    pass_time(61)
    assert close_all() == 1
    (digest,) = sent(hook)
    assert told(digest) == [str(event.id) for event in events]
    assert [one["data"] and len(one["data"]["text"]) for one in digest.payload["events"]] in (
        [9_000, 100, None, 200, None],
        [None, 100, None, 200, 9_000],
    )
    assert (digest.payload["count"], digest.payload["left_out"]) == (5, 2)
    assert digest.size <= 20_000


def test_many_events_fit_even_where_hardly_anything_is_allowed(settings: Any) -> None:
    hook = routed({"digest": {"window_seconds": 60, "key": ["branch"]}})
    publish_all([Announcement("custom." + "a" * 93, {"branch": "ü" * 300})] * 12)
    settings.EVENT_MAX_BYTES = 4_000
    pass_time(61)
    assert close_all() == 2
    assert [event.payload["count"] for event in sent(hook)] == [6, 6]


def test_data_too_deep_to_be_put_into_others_are_left_out() -> None:
    hook = routed(MINUTE)
    event = publish("custom.a", {})
    Event.objects.filter(id=event.id).update(payload=RawJSON('{"a":' * 5000 + "{}" + "}" * 5000))
    pass_time(61)
    assert close_all() == 1
    (digest,) = sent(hook)
    assert (told(digest), digest.payload["left_out"]) == ([str(event.id)], 1)


def test_a_digest_that_fails_is_put_off_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    broken, other = routed(MINUTE), routed(MINUTE)
    publish("custom.a", {})
    pass_time(61)
    deliver = digests._deliver_all

    def fail(hook: Webhook, *given: Any) -> None:
        if hook.id == broken.id:
            raise ValueError("a fault of ours")
        deliver(hook, *given)

    monkeypatch.setattr(digests, "_deliver_all", fail)
    assert close_all() == 1
    assert len(sent(other)) == 1
    assert "digest_failed" in caplog.text
    monkeypatch.undo()
    assert close_all() == 0
    pass_time(61)
    assert close_all() == 1
    assert len(sent(broken)) == 1


def test_killed_at_any_statement_it_still_sends_one_message_with_every_event() -> None:
    statements = 0
    for kind in ("all", "latest"):
        for number in range(1, 40):
            hook = routed({"digest": {"window_seconds": 60, "key": [], "mode": kind}, "supersede": True})
            events = publish_all([Announcement("custom.a", {"n": n}) for n in range(3)])
            pass_time(61)
            killed = _close_killed_at(number)
            statements += 1
            if killed:
                assert DigestEntry.objects.count() == 3
                assert (sent(hook), WebhookDelivery.objects.count()) == ([], 0)
            assert close_all() == int(killed)
            (event,) = sent(hook)
            if kind == "all":
                assert told(event) == [str(one.id) for one in events]
            else:
                assert event.id == events[-1].id
                assert WebhookDelivery.objects.filter(status=DeliveryStatus.CANCELLED).count() == 2
            assert not DigestEntry.objects.exists()
            assert_truth()
            WebhookDelivery.objects.all().delete()
            Webhook.objects.all().delete()
            if not killed:
                break
    assert statements > 20, "it takes about a dozen statements each"


def _close_killed_at(number: int) -> bool:
    """Close with the connection failing before its `number`-th statement; says whether it got that far."""
    seen = 0

    def kill(execute: Any, *given: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == number:
            raise DatabaseError("killed")
        return execute(*given)

    with connection.execute_wrapper(kill):
        try:
            close_next()
        except DatabaseError:
            return True
    return False


# --- the latest only --------------------------------------------------------------------------------------------------

LATEST: dict[str, Any] = {"digest": {"window_seconds": 60, "mode": "latest"}}


def test_only_the_latest_leaves_as_itself_and_the_log_says_what_became_of_the_others() -> None:
    hook = routed(LATEST)
    events = publish_all([Announcement("custom.a", {"repository": "acme/shop", "n": n}) for n in range(5)])
    pass_time(61)
    assert close_all() == 1
    assert [event.id for event in sent(hook)] == [events[-1].id]
    void = WebhookDelivery.objects.filter(status=DeliveryStatus.CANCELLED, last_error_class=ErrorClass.SUPERSEDED)
    assert {row.event_id for row in void} == {event.id for event in events[:-1]}
    assert all(row.finished_at and row.next_attempt_at is None and "newer event" in row.last_error for row in void)
    assert state_of(hook).cancelled_count == 4
    assert_truth()
    redeliver(void[0])
    assert len(sent(hook)) == 2
    assert_truth()


def test_the_latest_of_a_later_window_supersedes_one_that_still_waits() -> None:
    hook = routed(LATEST | {"supersede": True})
    for number in range(2):
        publish("custom.a", {"n": number})
        pass_time(61)
        close_all()
    assert SubjectMark.objects.values("key").distinct().count() == 1
    assert [event.payload["n"] for event in sent(hook)] == [0, 1]


# --- the webhook ------------------------------------------------------------------------------------------------------


def test_an_inactive_webhooks_digest_is_parked() -> None:
    hook = routed(MINUTE)
    disable(hook)
    publish("custom.a", {})
    pass_time(61)
    assert close_all() == 1
    worker().turn([], 10)
    assert (selectors.stats(hook.id).parked, selectors.stats(hook.id).pending) == (1, 0)


@pytest.mark.parametrize("routing", [None, {"digest": {"window_seconds": 3600}}, LATEST])
def test_what_waits_leaves_at_once_when_the_rules_change(routing: dict[str, Any] | None) -> None:
    hook = routed(MINUTE)
    publish("custom.a", {})
    publish("custom.a", {})
    update_webhook(hook, {"routing": MINUTE | {"branches": ["main"]}})
    assert not close_next(), "the rules of its digests are the same"
    update_webhook(hook, {"routing": routing})
    assert close_all() == 1
    assert [event.payload["count"] for event in sent(hook)] == [2], "as it was collected"


def test_what_waits_goes_with_its_webhook_however_late_it_comes() -> None:
    hook = routed(MINUTE)
    publish("custom.a", {})
    other = routed(MINUTE)
    (entry,) = DigestEntry.objects.all()
    delete_webhook(hook)
    assert not DigestEntry.objects.exists()
    entry.save(force_insert=True)  # of a publisher that hadn't seen it
    publish("custom.a", {})
    pass_time(61)
    assert close_all() == 1
    assert (DigestEntry.objects.count(), len(sent(other)), len(sent(hook))) == (0, 1, 0)
    entry.save(force_insert=True)
    purge._remove(hook.id)
    assert not Webhook.objects.filter(id=hook.id).exists()


def test_events_that_wait_for_a_digest_are_not_deleted() -> None:
    routed(MINUTE)
    event = publish("custom.a", {})
    old = uuid.UUID(int=1)
    Event.objects.bulk_create([Event(id=old, type="custom.a", payload={}, size=2, created_at=event.created_at)])
    DigestEntry.objects.update(event_id=old)
    assert housekeeping.prune_events(Batch()).rows == 0
    DigestEntry.objects.all().delete()
    assert housekeeping.prune_events(Batch()).rows == 1


def test_what_waits_is_shown_in_constant_statements() -> None:
    hook, other = routed(MINUTE), routed({})
    publish_all([Announcement("custom.a", {})] * 3)
    (first,) = {entry.due_at for entry in DigestEntry.objects.all()}
    with CaptureQueriesContext(connection) as queries:
        shown = {row.id: (row.digest_waiting, row.digest_due_at) for row in selectors.shown_webhooks()}  # type: ignore[attr-defined]
    assert shown == {hook.id: (3, first), other.id: (0, None)}
    assert len(queries) == 2


def test_a_digest_is_told_as_one_message() -> None:
    hook = routed(MINUTE)
    publish("finding.opened", example("finding.opened"))
    publish("gate.failed", example("gate.failed"))
    pass_time(61)
    close_all()
    (event,) = sent(hook)
    message = message_of(OutgoingEvent(event.id, event.type, event.created_at, mapping(event.payload), b""))
    assert (message.title, message.repository, message.branch) == ("2 events: acme/shop", "acme/shop", "main")
    assert message.subject == "digest:repository=acme/shop"


# --- several workers --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["all", "latest"])
def test_two_workers_close_a_digest_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hook = routed({"digest": {"window_seconds": 60, "mode": kind}})
    publish_all([Announcement("custom.a", {"n": n}) for n in range(50)])
    pass_time(61)
    both, over = threading.Barrier(2, timeout=10), digests._over
    found: list[bool] = []

    def look(window: Any) -> Any:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(0.1)")  # the other comes meanwhile
        return over(window)

    def close() -> None:
        both.wait()
        found.append(close_next())
        connection.close()

    monkeypatch.setattr(digests, "_over", look)
    threads = [threading.Thread(target=close) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False, True]
    (event,) = sent(hook)
    assert kind == "latest" or event.payload["count"] == 50
    assert not DigestEntry.objects.exists()
    assert_truth()
