"""Calling workers for rows that come due by themselves: one message, however many look, and none that is lost for good."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import leases, queue, tasks, work, work_registry
from core.models import Housekeeping, Slot, WorkCall
from core.models.work import WorkState
from tests.plans import nodes, plan

pytestmark = pytest.mark.django_db
ran: list[uuid.UUID] = []
KIND = work_registry.Kind("housekeeping", Housekeeping, lambda run: ran.append(run.row.id), called=True)
MESSAGE = ("core.tasks.run_work", "housekeeping")


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[tuple[str, ...]]:
    """What was put into the queue, of this kind alone."""
    found: list[tuple[str, ...]] = []
    monkeypatch.setattr(queue, "enqueue", lambda path, *args, **_: found.append((path, *args)))
    monkeypatch.setattr(work_registry, "_kinds", {KIND.name: KIND})
    settings.WORKERS = 2
    ran.clear()
    return found


def row(**values: Any) -> Housekeeping:
    made: Housekeeping = Housekeeping.objects.create(job="sample", slot=uuid.uuid4().hex, **values)
    return made


def test_looking_costs_one_look_up_while_nothing_is_due_or_a_worker_is_on_its_way(sent: list[Any]) -> None:
    row(run_after=timezone.now() + timedelta(hours=1))
    for due in (0, 1, 300):
        Housekeeping.objects.bulk_create([Housekeeping(job="due", slot=uuid.uuid4().hex) for _ in range(due)])
        work_registry.call_due(KIND)
        with CaptureQueriesContext(connection) as queries:
            assert not work_registry.call_due(KIND)
        assert len(queries) == 1
    assert sent == [MESSAGE]


@pytest.mark.postgres
@pytest.mark.skipif(connection.vendor != "postgresql", reason="the plans of PostgreSQL")
def test_the_look_up_is_by_index_also_where_statistics_expect_that_all_is_due() -> None:
    Housekeeping.objects.bulk_create([Housekeeping(job="due", slot=str(number)) for number in range(3000)])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE core_housekeeping")
    Housekeeping.objects.update(state=WorkState.DONE)
    with CaptureQueriesContext(connection) as queries:
        assert not work_registry.call_due(KIND)
    (query,) = queries
    scans = {
        node["Node Type"] for node in nodes(plan(query["sql"].replace("%", "%%"), [])) if node.get("Relation Name") == "core_housekeeping"
    }
    assert scans
    assert not any(scan.startswith("Seq") for scan in scans)


@pytest.mark.django_db(transaction=True)
def test_several_that_look_at_once_call_one_worker(sent: list[Any]) -> None:
    row()
    together = threading.Barrier(3)

    def look() -> None:
        together.wait()
        work_registry.call_due(KIND)
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sent == [MESSAGE]


def test_the_worker_that_comes_takes_the_call_back_before_it_looks(sent: list[Any]) -> None:
    first = row()
    assert work_registry.call_due(KIND)
    assert tasks.run_work("housekeeping") == 1
    assert ran == [first.id]
    assert not work_registry.call_due(KIND)
    row()
    assert work_registry.call_due(KIND)
    assert len(sent) == 2


def test_a_lost_message_is_made_up_for_by_the_tick(sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.housekeeping, "plan", lambda: None)
    row()
    work_registry.call_due(KIND)
    tasks.tick()
    assert sent == [MESSAGE] * 2
    tasks.run_work("housekeeping")
    row()
    assert work_registry.call_due(KIND), "the lost message was waited for"


def test_a_call_that_cant_be_sent_is_not_noted(sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    row()

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(queue, "enqueue", fail)
    with pytest.raises(RuntimeError):
        work_registry.call_due(KIND)
    assert not WorkCall.objects.filter(called_at__isnull=False).exists()


def test_while_half_of_the_workers_are_at_it_no_other_is_called_unless_they_died(sent: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.housekeeping, "plan", lambda: None)
    worker = leases.register_worker("work")
    row()
    work.claim(Housekeeping, worker)
    row()
    assert not work_registry.call_due(KIND)
    tasks.tick()
    assert sent == []
    leases.retire(worker)
    assert Housekeeping.objects.filter(state=WorkState.RUNNING).count() == 1
    assert work_registry.call_due(KIND)


def test_of_the_workers_that_come_no_more_than_half_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    # one is called while the first is between two rows, and comes while it is at the next
    second: list[int] = []
    comes = dataclasses.replace(KIND, handler=lambda run: second.append(tasks.run_work(KIND.name)))
    monkeypatch.setattr(work_registry, "_kinds", {KIND.name: comes})
    row()
    row()
    assert tasks.run_work(KIND.name) == 2
    assert second == [0, 0]
    assert not Slot.objects.exclude(holder=None).exists()
