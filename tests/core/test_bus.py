from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from core import bus, context
from core.bus import Announcement, publish, publish_all, record
from core.errors import InvalidInput, TooLarge
from core.models import Event

pytestmark = pytest.mark.postgres


class Listener:
    """A sink that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.error: Exception | None = None

    def __call__(self, events: Sequence[Event]) -> None:
        self.heard.extend(events)
        if self.error:
            Event.objects.create(type="custom.partial", payload={}, size=2, created_at=events[0].created_at)
            raise self.error


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    heard = Listener()
    monkeypatch.setattr(bus, "_sinks", lambda: [bus.Taker(heard, required=True)])
    return heard


@pytest.fixture
def optional(monkeypatch: pytest.MonkeyPatch) -> Listener:
    heard = Listener()
    monkeypatch.setattr(bus, "_sinks", lambda: [bus.Taker(heard, required=False)])
    return heard


@pytest.mark.django_db
def test_it_stores_the_event_and_feeds_the_sinks(listener: Listener) -> None:
    with context.acting(context.Actor("user", "1", "alice"), "request-1"):
        event = publish("custom.deploy", {"n": 1})
    assert listener.heard == [event]
    assert listener.heard[0].payload == {"n": 1}
    stored = Event.objects.get()
    assert (stored.type, stored.payload, stored.size) == ("custom.deploy", {"n": 1}, 7)
    assert (stored.actor, stored.request_id) == ("alice", "request-1")


@pytest.mark.django_db
def test_a_sink_that_names_types_hears_of_these_only(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Listener()
    monkeypatch.setattr(bus, "_sinks", lambda: [bus.Taker(heard, required=False, types=frozenset({"custom.deploy"}))])
    wanted = publish_all([Announcement("custom.other", {}), Announcement("custom.deploy", {})])[1]
    publish("custom.other", {})
    assert heard.heard == [wanted]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "data", [{}, {"text": "naïve 🚀 \u0000 \ud800"}, {"n": [1, 1.5, -0.0, 10**30, 1e-300, None, True]}, {"deep": {"a": {"b": [[[]]]}}}]
)
def test_the_payload_survives_to_the_letter(data: Any) -> None:
    event = publish("custom.deploy", data)
    assert Event.objects.get(id=event.id).payload == data


@pytest.mark.django_db
def test_events_of_one_publication_keep_their_order(listener: Listener) -> None:
    events = publish_all([Announcement("custom.deploy", {"n": n}) for n in range(600)])
    assert [event.payload["n"] for event in Event.objects.order_by("id")] == list(range(600))  # type: ignore[index,call-overload]
    assert listener.heard == events


@pytest.mark.django_db
def test_one_wrong_event_publishes_none(listener: Listener) -> None:
    with pytest.raises(InvalidInput):
        publish_all([Announcement("custom.deploy", {}), Announcement("nothing.here", {})])
    assert not Event.objects.exists()
    assert not listener.heard


@pytest.mark.django_db
def test_a_key_publishes_once(listener: Listener) -> None:
    first = publish("custom.deploy", {"n": 1}, idempotency_key="scan-7")
    again = publish("custom.deploy", {"n": 2}, idempotency_key="scan-7")
    assert again.id == first.id
    assert again.payload == {"n": 1}
    assert listener.heard == [first]


@pytest.mark.django_db
def test_a_payload_that_was_just_stored_is_not_read_back(listener: Listener) -> None:
    with CaptureQueriesContext(connection) as queries:
        publish("custom.deploy", {"n": 1}, idempotency_key="scan-7")
    assert not [one["sql"] for one in queries if one["sql"].startswith("SELECT") and "payload" in one["sql"]]


@pytest.mark.django_db
def test_a_key_repeated_within_a_publication_publishes_once(listener: Listener) -> None:
    events = publish_all(
        [Announcement("custom.deploy", {"n": n}, idempotency_key="k") for n in range(3)] + [Announcement("custom.deploy", {"n": 9})]
    )
    assert [event.payload for event in events] == [{"n": 0}, {"n": 0}, {"n": 0}, {"n": 9}]
    assert Event.objects.count() == 2
    assert len(listener.heard) == 2


@pytest.mark.django_db(transaction=True)
def test_two_publishers_at_once_with_a_key_publish_once(listener: Listener) -> None:
    barrier, ids = threading.Barrier(4), list[Any]()

    def run() -> None:
        barrier.wait()
        ids.append(publish("custom.deploy", {}, idempotency_key="k").id)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1
    assert len(listener.heard) == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_was_said_when_the_publisher_rolls_back() -> None:
    with transaction.atomic():
        publish("custom.deploy", {})
        transaction.set_rollback(True)
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_a_failing_required_sink_fails_the_publisher(listener: Listener) -> None:
    listener.error = RuntimeError("no")
    with pytest.raises(RuntimeError):
        publish("custom.deploy", {})
    assert not Event.objects.exists()


@pytest.mark.django_db
def test_a_failing_optional_sink_is_undone_and_logged(optional: Listener, caplog: pytest.LogCaptureFixture) -> None:
    optional.error = RuntimeError("no")
    event = publish("custom.deploy", {})
    assert list(Event.objects.values_list("id", flat=True)) == [event.id]
    assert "sink_failed" in caplog.text


@pytest.mark.django_db
def test_it_refuses_data_over_the_limit(settings: Any) -> None:
    settings.EVENT_MAX_BYTES = 20
    publish("custom.deploy", {"a": "123"})
    with pytest.raises(TooLarge, match="EVENT_MAX_BYTES"):
        publish("custom.deploy", {"a": "x" * 20})


def _nested(depth: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.django_db
@pytest.mark.parametrize("data", [{"n": float("nan")}, {"n": float("inf")}, _nested(100_000)])
def test_it_refuses_what_json_cannot_express(data: Any) -> None:
    with pytest.raises(InvalidInput, match="JSON"):
        publish("custom.deploy", data)


@pytest.mark.django_db
def test_recording_tells_no_sink(listener: Listener) -> None:
    event = record(Announcement("custom.deploy", {"n": 1}))
    assert Event.objects.get().id == event.id
    assert event.payload == {"n": 1}
    assert not listener.heard


@pytest.mark.django_db
@pytest.mark.parametrize("count", [1, 80])
def test_publishing_takes_the_same_statements_for_one_event_and_many(
    django_assert_num_queries: Any, listener: Listener, count: int
) -> None:
    with django_assert_num_queries(3):  # savepoint, insert, release
        publish_all([Announcement("custom.deploy", {}) for _ in range(count)])


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    monkeypatch.setattr(bus, "wake", lambda: calls.append(1))
    return calls


@pytest.mark.django_db
def test_it_wakes_the_drains_after_the_commit(woken: list[int], django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        publish("custom.deploy", {})
        assert not woken
    assert woken


@pytest.mark.django_db
def test_waking_inside_a_transaction_does_nothing(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        bus.wake()


@pytest.mark.django_db(transaction=True)
def test_waking_notifies_where_the_database_can(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1 if connection.vendor == "postgresql" else 0):
        bus.wake()


@pytest.mark.django_db(transaction=True)
def test_a_lost_wake_up_call_harms_nobody(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setattr(connection, "cursor", lambda: (_ for _ in ()).throw(DatabaseError("gone")))
    bus.wake()
    assert "wake_failed" in caplog.text
