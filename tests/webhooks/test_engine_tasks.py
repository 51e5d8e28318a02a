"""The standing drains: how many there are, when they end, and how one follows the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.utils import timezone

from core import leases, queue, runfiles, work_registry
from core.bus import publish
from core.models import Slot, Worker
from tests.webhooks.engine_kit import due, hook
from tests.webhooks.receivers import Reply, receiving, wait_for
from webhooks import tasks
from webhooks.engine import pump, upkeep
from webhooks.engine.pump import Engine
from webhooks.models import DeliveryAttempt, FollowUp, Lease, WebhookDelivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.0/8"]
    settings.DELIVERY_DRAINS = 1
    monkeypatch.setenv("Q_CLUSTER_NAME", "deliveries")
    runfiles.allow_to_run("deliveries")
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 0.4)
    monkeypatch.setattr(tasks, "COAST_SECONDS", 0.2)
    monkeypatch.setattr(tasks, "STOP_SECONDS", 2.0)
    monkeypatch.setattr(tasks, "PASS_ON_SECONDS", 0.01)
    monkeypatch.setattr(tasks, "RECONNECT_SECONDS", 0.01)
    yield
    if tasks._Process.engine is not None:
        tasks._Process.engine.stop(0)
    tasks._Process.engine = None
    runfiles.allow_to_run("deliveries")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was put into the queue."""
    found: list[str] = []

    def enqueue(path: str, *args: Any, cluster: str = "", save: bool = False) -> None:
        found.append(f"{cluster}:{path}")

    monkeypatch.setattr(queue, "enqueue", enqueue)
    return found


NEXT = "deliveries:webhooks.tasks.drain"


def slot(host: str, holder: Worker | None = None, number: int = 0) -> Slot:
    return Slot.objects.create(name=f"deliveries/{host}/{number}", holder=holder)


def other_worker(host: str, age: float = 0) -> Worker:
    made = Worker.objects.create(kind="deliveries", host=host, pid=1)
    Worker.objects.filter(id=made.id).update(heartbeat_at=timezone.now() - timedelta(seconds=age))
    return made


def test_a_drain_delivers_frees_its_slot_and_asks_for_the_next(asked: list[str]) -> None:
    with receiving() as receiver:
        hook(url=receiver.url())
        publish("custom.a", {})
        tasks.drain()
        assert len(receiver.received) == 1
    assert asked == [NEXT]
    assert Slot.objects.get().holder is None
    wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())


def test_a_drain_calls_a_worker_for_follow_ups_that_come_due_and_a_fault_in_that_ends_nothing(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks._Process, "followed", upkeep.Sparing(tasks._call_for_follow_ups, every=0.05))
    (delivery,) = due(hook(status="inactive"))
    FollowUp.objects.create(delivery=delivery, url="https://ci/1", give_up_at=timezone.now() + timedelta(hours=1))
    tasks.drain()
    assert asked == ["default:core.tasks.run_work", NEXT]
    monkeypatch.setattr(work_registry, "call_due", lambda kind: 1 // 0)
    tasks.drain()
    assert asked[2:] == [NEXT]


def test_the_next_drain_of_the_process_uses_the_same_engine(asked: list[str]) -> None:
    tasks.drain()
    engine = tasks._Process.engine
    tasks.drain()
    assert tasks._Process.engine is engine
    assert Worker.objects.count() == 1
    assert asked == [NEXT, NEXT]


def test_it_goes_on_claiming_for_a_moment_until_the_next_drain_has_come(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "COAST_SECONDS", 30.0)
    with receiving() as receiver:
        hook(url=receiver.url())
        tasks.drain()
        publish("custom.a", {})
        wait_for(lambda: receiver.received)


def test_without_a_slot_it_ends_at_once_and_asks_for_nothing(asked: list[str]) -> None:
    here = leases.host_name()
    slot(here, other_worker(here))
    begun = time.monotonic()
    tasks.drain()
    assert asked == []
    assert time.monotonic() - begun < 5
    assert Slot.objects.get().holder is not None


def test_the_slot_of_a_dead_worker_is_taken(asked: list[str]) -> None:
    here = leases.host_name()
    slot(here, other_worker(here, age=60))
    tasks.drain()
    assert asked == [NEXT]


@pytest.mark.parametrize("theirs", ["free", "of a dead worker"])
def test_another_machines_message_is_passed_on(asked: list[str], theirs: str) -> None:
    here = leases.host_name()
    slot(here, other_worker(here))
    other_worker("elsewhere")
    slot("elsewhere", None if theirs == "free" else other_worker("elsewhere", age=60))
    tasks.drain()
    assert asked == [NEXT]


@pytest.mark.parametrize("theirs", ["taken", "dead machine"])
def test_a_message_that_nobody_waits_for_ends(asked: list[str], theirs: str) -> None:
    here = leases.host_name()
    slot(here, other_worker(here))
    holder = other_worker("elsewhere", age=60 if theirs == "dead machine" else 0)
    slot("elsewhere", holder)
    tasks.drain()
    assert asked == []


def test_a_machine_that_stops_passes_on_what_is_anothers(asked: list[str]) -> None:
    other_worker("elsewhere")
    slot("elsewhere")
    runfiles.ask_to_stop("deliveries")
    tasks.drain()
    assert asked == [NEXT]
    assert tasks._Process.engine is None


def test_a_machine_that_stops_starts_nothing(asked: list[str]) -> None:
    runfiles.ask_to_stop("deliveries")
    tasks.drain()
    assert (asked, Slot.objects.count(), tasks._Process.engine) == ([], 0, None)


def test_the_stop_flag_ends_a_drain_its_engine_and_its_leases(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 60.0)
    with receiving(Reply(hang=True)) as receiver:
        hook(url=receiver.url())
        publish("custom.a", {})
        thread = in_thread()
        wait_for(lambda: receiver.received)
        runfiles.ask_to_stop("deliveries")
        thread.join(60)
    assert not thread.is_alive()
    assert asked == []
    assert (Lease.objects.count(), DeliveryAttempt.objects.count()) == (0, 0)
    assert not Worker.objects.exists()
    assert Slot.objects.get().holder is None


def test_an_engine_without_a_drain_hears_the_stop_flag_too(asked: list[str]) -> None:
    with receiving(Reply(delay=0.8)) as receiver:
        hook(url=receiver.url())
        publish("custom.a", {})
        tasks.drain()
        engine = tasks._Process.engine
        assert engine is not None
        wait_for(lambda: receiver.received)
        runfiles.ask_to_stop("deliveries")
        wait_for(lambda: not engine.alive)
    assert DeliveryAttempt.objects.get().outcome == "success"  # it was given the time to end
    assert not Worker.objects.exists()


def test_a_stopping_drain_waits_for_the_other_engines_of_its_machine(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 60.0)
    monkeypatch.setattr(tasks, "STOP_SECONDS", 20.0)
    other = other_worker(leases.host_name())
    other_worker("elsewhere")
    thread = in_thread()
    wait_for(lambda: Slot.objects.filter(holder__isnull=False).exists())
    runfiles.ask_to_stop("deliveries")
    wait_for(lambda: Worker.objects.count() == 2)
    time.sleep(0.3)
    assert thread.is_alive()
    other.delete()
    thread.join(60)
    assert not thread.is_alive()


def test_an_engine_that_died_is_replaced(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.drain()
    first = tasks._Process.engine
    assert first is not None
    first.stop(0)
    tasks.drain()
    assert tasks._Process.engine is not first
    assert tasks._Process.engine is not None
    assert tasks._Process.engine.alive


def test_a_drain_whose_engine_dies_hands_over_at_once(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "DRAIN_SECONDS", 60.0)
    thread = in_thread()
    wait_for(lambda: Slot.objects.filter(holder__isnull=False).exists())
    assert tasks._Process.engine is not None
    tasks._Process.engine.stop(0)
    thread.join(60)
    assert not thread.is_alive()
    assert asked == [NEXT]


def test_a_forked_child_starts_its_own_engine(asked: list[str]) -> None:
    tasks.drain()
    mine = tasks._Process.engine
    assert mine is not None
    tasks._Process.pid = -1
    tasks.drain()
    assert tasks._Process.engine is not mine
    mine.stop(0)


def test_an_engine_that_cannot_start_leaves_nothing_behind(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Engine) -> None:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr(pump.Engine, "_register", fail)
        with pytest.raises(RuntimeError, match="could not start"):
            tasks.drain()
        assert tasks._Process.engine is None
    tasks.drain()
    assert asked == [NEXT]


def test_it_waits_for_a_database_that_is_away_when_it_hands_over(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = leases.free_slot, []

    def free(name: str, token: Any) -> None:
        calls.append(1)
        if len(calls) < 4:
            raise OperationalError("away")
        real(name, token)

    monkeypatch.setattr(leases, "free_slot", free)
    tasks.drain()
    assert asked == [NEXT]
    assert Slot.objects.get().holder is None


def test_slot_and_message_change_hands_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def enqueue(*_: Any, **__: Any) -> None:
        calls.append(1)
        raise OperationalError("away")

    monkeypatch.setattr(queue, "enqueue", enqueue)
    monkeypatch.setattr(tasks, "HAND_OVER_TRIES", 3)
    tasks.drain()
    assert len(calls) == 3
    assert Slot.objects.get().holder is not None


def test_drains_do_not_multiply(asked: list[str]) -> None:
    """Five messages at once, as after redeliveries: one runs and has one successor, the others end."""
    tasks.drain()
    asked.clear()
    Slot.objects.update(holder=other_worker(leases.host_name()))
    for _message in range(4):
        tasks.drain()
    assert asked == []
    Worker.objects.exclude(id=tasks._Process.engine.worker_id).delete()  # type: ignore[union-attr]
    tasks.drain()
    assert asked == [NEXT]


def test_two_processes_share_two_slots(asked: list[str], settings: Any) -> None:
    settings.DELIVERY_DRAINS = 2
    first, second = leases.register_worker("deliveries"), leases.register_worker("deliveries")
    names = tasks._slots(leases.host_name())
    assert len(names) == 2
    taken = [leases.take_slot(names, worker_id) for worker_id in (first, second)]
    assert [held[0] for held in taken if held] == names
    tasks.drain()
    assert asked == []


def test_starting_asks_for_as_many_drains_as_are_set(asked: list[str], settings: Any) -> None:
    settings.DELIVERY_DRAINS = 3
    tasks.ensure_drains()
    assert asked == [NEXT] * 3


def in_thread() -> threading.Thread:
    """Run a drain beside the test."""

    def run() -> None:
        try:
            tasks.drain()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
