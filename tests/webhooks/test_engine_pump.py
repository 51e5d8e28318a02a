"""The engine at work: real threads, a real receiver, committed rows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from standardwebhooks import Webhook as Verifier

from core import leases, runtime
from core.bus import Announcement, publish, publish_all
from core.models import RuntimeSettings, Worker
from tests.webhooks.engine_kit import assert_truth, hook, state_of
from tests.webhooks.receivers import Received, Receiver, Reply, receiving, wait_for
from tests.webhooks.routing_kit import example, pass_time, routed
from webhooks.choices import ErrorClass, Outcome
from webhooks.engine import pump, upkeep
from webhooks.engine.calls import CallPool
from webhooks.engine.pump import Engine
from webhooks.engine.store import Store
from webhooks.engine.sweep import sweep
from webhooks.models import DeliveryAttempt, Lease, Webhook, WebhookDelivery
from webhooks.services import enable

pytestmark = pytest.mark.django_db(transaction=True)
Start = Callable[..., Engine]


@pytest.fixture(autouse=True)
def _loopback_is_open(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    monkeypatch.setattr(pump, "AFTER_ERROR_SECONDS", 0.05)
    monkeypatch.setattr(pump, "RECONNECT_SECONDS", 0.05)
    runtime.forget()
    yield
    runtime.forget()


@pytest.fixture
def start() -> Iterator[Start]:
    engines: list[Engine] = []

    def run(slots: int = 50, seconds: float = 60) -> Engine:
        engine = Engine(slots)
        engines.append(engine)
        engine.start()
        engine.claim_for(seconds)
        return engine

    yield run
    for engine in engines:
        engine.stop(0)


def pending() -> int:
    return WebhookDelivery.objects.filter(status="pending").count()


def send_many(count: int) -> None:
    publish_all([Announcement("custom.n", {"n": number}) for number in range(count)])


def numbers(receiver: Receiver) -> list[int]:
    return sorted(request.data["n"] for request in receiver.received)


# --- the ordinary day -------------------------------------------------------------------------------------------------


def test_it_delivers_signed_and_records(start: Start) -> None:
    with receiving() as receiver:
        made = hook(url=receiver.url())
        start()
        event = publish("custom.a", {"text": "größer 😀"})
        wait_for(lambda: not pending())
        (request,) = receiver.received
        told = Verifier(made.secrets[0]["secret"]).verify(request.body, request.headers)
        assert (told["id"], told["type"], told["data"]) == (str(event.id), "custom.a", {"text": "größer 😀"})
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.outcome, attempt.status_code, attempt.response_body, attempt.address) == (Outcome.SUCCESS, 200, "ok", "127.0.0.1")
    assert attempt.total_ms is not None
    assert attempt.request_headers["X-RepoGuard-Attempt"] == "1"
    assert_truth()


def test_many_events_arrive_once_each_with_more_than_the_slots_waiting(start: Start) -> None:
    with receiving() as receiver:
        made = hook(url=receiver.url(), concurrency=20)
        send_many(200)
        start(slots=30)
        wait_for(lambda: not pending(), 60)
        assert numbers(receiver) == list(range(200))
    assert (state_of(made).success_count, DeliveryAttempt.objects.count()) == (200, 200)
    assert not Lease.objects.exists()
    assert_truth()


def test_a_failed_one_is_retried_on_time_under_the_same_id(start: Start) -> None:
    statuses = iter([500, 200])
    with receiving(lambda _: Reply(next(statuses))) as receiver:
        hook(url=receiver.url(), retry_config={"schedule": [1]})
        start()
        publish("custom.a", {})
        wait_for(lambda: not pending())
        first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert (first.headers["x-repoguard-attempt"], second.headers["x-repoguard-attempt"]) == ("1", "2")
    one, two = DeliveryAttempt.objects.order_by("number")
    assert (one.outcome, two.outcome) == (Outcome.RETRY, Outcome.SUCCESS)
    assert one.next_attempt_at is not None
    assert timedelta(0) <= two.started_at - one.next_attempt_at < timedelta(seconds=30)
    assert_truth()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is polled")
def test_it_is_woken_by_a_publisher(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "POLL_SECONDS_LISTENING", 600.0)
    with receiving() as receiver:
        hook(url=receiver.url())
        start()
        time.sleep(0.5)  # it has looked once, and waits
        publish("custom.a", {})
        wait_for(lambda: receiver.received)


def test_a_hanging_endpoint_does_not_stop_others(start: Start) -> None:
    def rule(request: Received) -> Reply:
        return Reply(hang=request.path == "/hangs")

    with receiving(rule) as receiver:
        hook(url=receiver.url("/hangs"), concurrency=500)
        hook(url=receiver.url("/fine"))
        send_many(60)
        engine = start(slots=10)
        wait_for(lambda: receiver.paths().count("/fine") == 60)
        assert 0 < receiver.paths().count("/hangs") <= 9
        assert engine.in_flight >= 1


def test_an_unreachable_endpoint_is_recorded_with_its_reason(start: Start) -> None:
    with receiving() as receiver:
        url = receiver.url()
    hook(url=url, retry_config={"schedule": []})
    start()
    publish("custom.a", {})
    wait_for(lambda: not pending())
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.error_class, attempt.status_code) == (ErrorClass.CONNECT, None)
    assert "refused" in attempt.error


def test_an_inner_address_is_refused_without_a_connection(start: Start, settings: Any) -> None:
    settings.EGRESS_ALLOW_CIDRS = []
    with receiving() as receiver:
        hook(url=receiver.url().replace("http:", "https:"))
        start()
        publish("custom.a", {})
        wait_for(lambda: not pending())
        assert not receiver.received
    assert DeliveryAttempt.objects.get().error_class == ErrorClass.ADDRESS_REFUSED


def test_without_leave_to_claim_it_only_ends_what_it_began(start: Start) -> None:
    answer = threading.Event()
    with receiving(Reply(after=answer)) as receiver:
        hook(url=receiver.url(), concurrency=1)
        send_many(3)
        engine = start()
        wait_for(lambda: receiver.received)
        engine.claim_for(-1)
        answer.set()
        wait_for(lambda: DeliveryAttempt.objects.count() == 1)
        time.sleep(0.3)
        assert (len(receiver.received), Lease.objects.count(), pending()) == (1, 0, 2)
        engine.claim_for(60)
        wait_for(lambda: not pending())
        assert numbers(receiver) == [0, 1, 2]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """Return of each turn how many results it was given, how many places were free and how many deliveries it claimed."""
    real, seen = Store.turn, []

    def turn(self: Store, results: Any, free: int) -> Any:
        batch = real(self, results, free)
        seen.append((len(results), free, len(batch.claimed)))
        return batch

    monkeypatch.setattr(Store, "turn", turn)
    monkeypatch.setattr(pump, "POLL_SECONDS_LISTENING", 600.0)
    monkeypatch.setattr(pump, "POLL_SECONDS", 600.0)
    return seen


def test_a_turn_takes_half_of_what_is_open_and_leaves_the_rest_to_be_sent(
    start: Start, turns: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "RECORD_AT_LEAST", 2)
    with receiving(Reply(delay=0.2)) as receiver:
        hook(url=receiver.url(), concurrency=20)
        send_many(60)
        start(slots=100)
        wait_for(lambda: not pending(), 60)
        assert numbers(receiver) == list(range(60))
    assert 2 < max(recorded for recorded, _free, _claimed in turns) <= 10
    assert_truth()


def test_a_turn_is_given_half_of_what_is_open_and_no_less_than_is_worth_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pump, "RECORD_AT_LEAST", 2)
    engine = Engine(100)
    for open_ones, portion in ((20, 10), (21, 10), (3, 2), (10_000, pump.RECORD_AT_ONCE)):
        engine._in_flight = dict.fromkeys(range(open_ones))  # type: ignore[assignment,arg-type]
        assert engine._portion() == portion


def test_after_a_claim_no_turn_comes_before_something_happens(
    start: Start, turns: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump.Listener, "start", lambda self: True)  # a publication that is heard of late would be something that happens
    with receiving(Reply(hang=True)) as receiver:
        hook(url=receiver.url())
        engine = start(slots=50, seconds=-1)
        send_many(3)
        engine.claim_for(60)
        wait_for(lambda: len(receiver.received) == 3)
        time.sleep(0.3)
        assert [claimed for _recorded, _free, claimed in turns] == [3]


def test_what_one_turn_could_not_take_the_next_takes_at_once(
    start: Start, turns: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from webhooks.engine import store

    monkeypatch.setattr(store, "BYTES_AT_ONCE", 10)
    with receiving(Reply(hang=True)) as receiver:
        hook(url=receiver.url())
        send_many(4)
        start(slots=50)
        wait_for(lambda: len(receiver.received) == 4)
    assert [claimed for _recorded, _free, claimed in turns][:4] == [1, 1, 1, 1]


# --- when the database fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [OperationalError("server closed the connection"), RuntimeError("bug")], ids=["away", "bug"])
def test_an_error_before_or_after_a_turns_commit_loses_and_doubles_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, when: str, error: Exception
) -> None:
    real, calls = Store.turn, []

    def turn(self: Store, results: Any, free: int) -> Any:
        calls.append(1)
        # a bug strikes now and then, a database stays away for a while
        fails = len(calls) % 4 == 2 and free > 0 if type(error) is RuntimeError else len(calls) % 12 in range(2, 8)
        if fails and when == "before":
            raise error
        batch = real(self, results, free)
        if fails:
            raise error
        return batch

    monkeypatch.setattr(Store, "turn", turn)
    with receiving() as receiver:
        made = hook(url=receiver.url(), concurrency=5)
        send_many(40)
        start(slots=10)
        wait_for(lambda: not pending())
        assert sorted(set(numbers(receiver))) == list(range(40))
    assert state_of(made).success_count == 40
    assert set(WebhookDelivery.objects.values_list("attempts", flat=True)) == {1}
    assert DeliveryAttempt.objects.filter(status_code=200, error_class="").count() == 40
    assert not Lease.objects.exists()
    assert_truth()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no server to lose")
def test_connections_that_are_cut_cost_nothing(start: Start) -> None:
    with receiving(Reply(delay=0.05)) as receiver:
        hook(url=receiver.url(), concurrency=5)
        send_many(60)
        start(slots=10)
        for _round in range(5):
            time.sleep(0.15)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        wait_for(lambda: not pending(), 60)
        assert sorted(set(numbers(receiver))) == list(range(60))
        publish("custom.n", {"n": 60})  # and it hears publishers again
        wait_for(lambda: 60 in numbers(receiver))
    assert not DeliveryAttempt.objects.exclude(outcome=Outcome.SUCCESS).exists()
    wait_for(lambda: not Lease.objects.exists())
    assert_truth()


def test_one_outcome_that_cannot_be_stored_keeps_no_other(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from webhooks.engine import aftermath

    real = aftermath.attempt_values

    def values(result: Any) -> dict[str, Any]:
        if result.answer.body == b"poison":
            raise ValueError("can't be stored")
        return real(result)

    monkeypatch.setattr(aftermath, "attempt_values", values)
    with receiving(lambda request: Reply(body=b"poison" if request.data["n"] == 3 else b"ok")) as receiver:
        made = hook(url=receiver.url())
        send_many(8)
        start()
        wait_for(lambda: not pending())
    assert state_of(made).success_count == 8
    bad = DeliveryAttempt.objects.get(error_class=ErrorClass.INTERNAL)
    assert (bad.response_body, bad.outcome) == ("", Outcome.SUCCESS)
    assert DeliveryAttempt.objects.filter(response_body="ok").count() == 7
    assert_truth()


def test_one_that_cannot_be_recorded_at_all_is_not_sent_again_and_again(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from webhooks.engine import aftermath

    real = aftermath.attempt_values

    def values(result: Any) -> dict[str, Any]:
        if b'"n":3' in result.claimed.body:
            raise ValueError("can't be stored")
        return real(result)

    monkeypatch.setattr(aftermath, "attempt_values", values)
    with receiving() as receiver:
        hook(url=receiver.url())
        send_many(8)
        engine = start()
        wait_for(lambda: pending() == 1 and not engine.in_flight)
        publish("custom.n", {"n": 99})
        wait_for(lambda: 99 in numbers(receiver))
        wait_for(lambda: pending() == 1)
        assert numbers(receiver).count(3) == 1
        assert Lease.objects.count() == 1
        assert "record_failed" in caplog.text
        engine.stop(1)
    assert not Lease.objects.exists()
    assert_truth()


def test_bytes_that_no_database_stores_are_no_trouble(start: Start) -> None:
    headers = {"Server": "caf\xe9", "Date": "\x80\xff"}
    with receiving(lambda _: Reply(404, headers, b"\xff\xfe \x00 \xed\xa0\x80")) as receiver:
        hook(url=receiver.url())
        send_many(3)
        start()
        wait_for(lambda: not pending())
    assert DeliveryAttempt.objects.filter(status_code=404, error_class=ErrorClass.CLIENT_ERROR).count() == 3
    assert "server" in {name.lower() for name in DeliveryAttempt.objects.all()[0].response_headers}


def test_an_unreadable_webhook_is_tried_later_and_says_so(start: Start, settings: Any) -> None:
    with receiving() as receiver:
        made, fine = hook(url=receiver.url("/bad")), hook(url=receiver.url("/fine"))
        Webhook.objects.filter(id=made.id).update(secrets=[])
        start()
        publish("custom.a", {})
        wait_for(lambda: DeliveryAttempt.objects.count() == 2)
        assert receiver.paths() == ["/fine"]
    assert DeliveryAttempt.objects.get(webhook_id=made.id).error_class == ErrorClass.UNREADABLE_SECRET
    assert state_of(fine).success_count == 1


# --- life and death ---------------------------------------------------------------------------------------------------


def test_a_worker_buried_midway_registers_anew_and_goes_on(start: Start) -> None:
    answer = threading.Event()
    with receiving(Reply(after=answer)) as receiver:
        made = hook(url=receiver.url(), concurrency=2)
        send_many(4)
        engine = start()
        wait_for(lambda: len(receiver.received) == 2)
        first = engine.worker_id
        Worker.objects.filter(id=first).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
        assert sweep() == 2
        answer.set()
        wait_for(lambda: not pending())
        assert engine.worker_id != first
        assert sorted(set(numbers(receiver))) == [0, 1, 2, 3]
    assert DeliveryAttempt.objects.filter(outcome=Outcome.WORKER_LOST).count() == 2
    assert DeliveryAttempt.objects.filter(outcome=Outcome.SUCCESS).count() == 4
    assert state_of(made).success_count == 4
    wait_for(lambda: not Lease.objects.exists())
    assert_truth()


def test_its_heart_beats_while_nothing_happens_and_sweeps_the_dead(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.05)
    dead = leases.register_worker("deliveries")
    made = hook()
    Lease.objects.create(delivery_id=dead, webhook_id=made.id, owner=dead, token=dead)
    Worker.objects.filter(id=dead).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    engine = start(seconds=-1)
    wait_for(lambda: not Lease.objects.exists())
    Worker.objects.filter(id=engine.worker_id).update(heartbeat_at=timezone.now() - timedelta(seconds=9))
    wait_for(lambda: Worker.objects.get(id=engine.worker_id).heartbeat_at > timezone.now() - timedelta(seconds=5))
    gone = engine.worker_id
    Worker.objects.filter(id=gone).delete()
    wait_for(lambda: engine.worker_id != gone)


def test_a_sweep_that_fails_stops_no_heart(start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.05)
    calls: list[int] = []

    def fail() -> int:
        calls.append(1)
        raise RuntimeError("bug")

    monkeypatch.setattr(pump, "sweep", fail)
    start(seconds=-1)
    wait_for(lambda: len(calls) >= 3)
    assert "sweep_failed" in caplog.text


def test_stopping_waits_for_what_is_under_way(start: Start) -> None:
    with receiving(Reply(delay=0.5)) as receiver:
        hook(url=receiver.url(), concurrency=2)
        send_many(5)
        engine = start()
        wait_for(lambda: len(receiver.received) == 2)
        engine.stop(60)
        assert (len(receiver.received), pending()) == (2, 3)
    assert DeliveryAttempt.objects.filter(outcome=Outcome.SUCCESS).count() == 2
    assert not Lease.objects.exists()
    assert not Worker.objects.filter(id=engine.worker_id).exists()
    assert not engine.alive
    engine.stop()  # once more does no harm
    assert_truth()


def test_stopping_hands_back_what_does_not_end(start: Start) -> None:
    with receiving(Reply(hang=True)) as receiver:
        hook(url=receiver.url())
        send_many(3)
        engine = start()
        wait_for(lambda: len(receiver.received) == 3)
        engine.stop(0.1)
    assert (Lease.objects.count(), DeliveryAttempt.objects.count(), pending()) == (0, 0, 3)
    assert not Worker.objects.exists()
    with receiving() as receiver:
        Webhook.objects.update(url=receiver.url())
        start()
        wait_for(lambda: not pending())
        assert numbers(receiver) == [0, 1, 2]


def test_requests_go_on_while_nobody_claims(start: Start) -> None:
    answer = threading.Event()
    with receiving(Reply(after=answer)) as receiver:
        hook(url=receiver.url())
        send_many(3)
        engine = start()
        wait_for(lambda: len(receiver.received) == 3)
        engine.claim_for(-1)
        answer.set()
        wait_for(lambda: not pending())
    assert DeliveryAttempt.objects.count() == 3


def test_an_engine_whose_loop_dies_says_so_and_gives_everything_back(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: Engine, ended: Any) -> None:
        raise RuntimeError("bug in the loop")

    with receiving() as receiver:
        hook(url=receiver.url())
        monkeypatch.setattr(Engine, "_forget", fail)
        engine = start()
        assert engine.alive
        publish("custom.a", {})
        wait_for(lambda: not engine.alive)
    assert "engine_failed" in caplog.text
    assert not Worker.objects.exists()
    assert not Lease.objects.exists()
    engine.stop()


def test_an_engine_that_cannot_start_raises(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(self: Engine) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(Engine, "_register", fail)
    with pytest.raises(RuntimeError, match="could not start"):
        Engine(5).start()
    assert "engine_failed" in caplog.text


def test_it_waits_for_a_database_that_is_away_when_it_starts(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Engine._register, []

    def register(self: Engine) -> None:
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("away")
        real(self)

    monkeypatch.setattr(Engine, "_register", register)
    assert start().alive
    assert len(calls) == 3


def test_a_database_away_at_the_end_leaves_the_leases_to_lapse(start: Start, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    engine = start()

    def away(self: Store, tokens: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(Store, "give_back_all_but", away)
    engine.stop()
    assert "retire_failed" in caplog.text
    assert not engine.alive


@pytest.mark.parametrize("steps", range(8))
def test_it_ends_also_when_it_is_woken_at_that_very_moment(steps: int) -> None:
    engine = Engine(5)

    async def end() -> bool:
        engine._wake, engine._pool = asyncio.Event(), CallPool(1)
        work = asyncio.create_task(engine._work_loop(60))
        await asyncio.sleep(0.01)
        engine._wake.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        work.cancel()
        ended, running = await asyncio.wait([work], timeout=5)
        for task in running:
            task.cancel()
        return bool(ended)

    assert asyncio.run(end())


def test_changed_limits_are_in_force_without_a_restart(start: Start) -> None:
    RuntimeSettings.objects.create(pk=1, response_body_bytes=3)
    runtime.forget()
    with receiving(Reply(body=b"abcdef")) as receiver:
        hook(url=receiver.url())
        start()
        publish("custom.a", {})
        wait_for(lambda: not pending())
    attempt = DeliveryAttempt.objects.get()
    assert (attempt.response_body, attempt.response_truncated) == ("abc", True)


# --- routing ----------------------------------------------------------------------------------------------------------


def test_digests_leave_by_themselves_and_what_was_superseded_does_not(start: Start) -> None:
    with receiving() as receiver:
        routed({"digest": {"window_seconds": 60}}, url=receiver.url("/digest"))
        last = routed({"supersede": True}, url=receiver.url("/last"), status="inactive")
        start()
        publish_all([Announcement("gate.failed", example("gate.failed", broken_count=n)) for n in range(20)])
        pass_time(61)
        wait_for(lambda: receiver.received)
        wait_for(lambda: state_of(last).cancelled_count == 19)
        enable(last)
        wait_for(lambda: len(receiver.received) == 2)
    digest, gate = receiver.received
    assert (digest.path, digest.data["count"]) == ("/digest", 20)
    assert (gate.path, gate.data["broken_count"]) == ("/last", 19)


def test_what_expired_while_no_engine_ran_is_not_sent(start: Start) -> None:
    with receiving() as receiver:
        routed({"expires_after": 60}, url=receiver.url("/old"))
        hook(url=receiver.url("/any"), events=["*"])
        publish("custom.a", {"n": 1})
        WebhookDelivery.objects.update(created_at=timezone.now() - timedelta(hours=1))
        start()
        wait_for(lambda: not pending())
    assert [request.path for request in receiver.received] == ["/any"]


def test_a_fault_of_the_routing_does_not_end_the_engine(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []

    def fail() -> bool:
        failures.append(1)
        raise ValueError("a fault of ours")

    monkeypatch.setattr(upkeep, "step", fail)
    monkeypatch.setattr(upkeep, "SECONDS", 0.02)
    with receiving() as receiver:
        hook(url=receiver.url())
        start()
        wait_for(lambda: len(failures) > 2)
        publish("custom.a", {})
        wait_for(lambda: not pending())
        assert len(receiver.received) == 1
