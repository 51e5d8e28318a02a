from __future__ import annotations

import os
import uuid
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from core import leases
from core.models import Slot, Worker

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]


def _silence(worker_id: uuid.UUID, seconds: float = leases.LAPSE_SECONDS + 1) -> None:
    Worker.objects.filter(id=worker_id).update(heartbeat_at=Now() - timedelta(seconds=seconds))


def _lapsed(kind: str) -> list[uuid.UUID]:
    return list(Worker.objects.filter(leases.lapsed(), kind=kind).values_list("id", flat=True))


def test_a_worker_says_where_it_runs():
    worker = Worker.objects.get(id=leases.register_worker("work"))
    assert (worker.kind, worker.pid, worker.host) == ("work", os.getpid(), leases.host_name())


def test_a_fresh_worker_has_not_lapsed():
    leases.register_worker("work")
    assert _lapsed("work") == []


def test_a_silent_worker_has_lapsed():
    worker = leases.register_worker("work")
    _silence(worker, leases.LAPSE_SECONDS - 3)
    assert _lapsed("work") == []
    _silence(worker)
    assert _lapsed("work") == [worker]
    assert _lapsed("deliveries") == []


def test_a_heartbeat_brings_a_slow_worker_back():
    worker = leases.register_worker("work")
    _silence(worker)
    assert leases.beat(worker)
    assert _lapsed("work") == []


def test_a_worker_given_up_for_dead_learns_it():
    worker = leases.register_worker("work")
    leases.retire(worker)
    assert not leases.beat(worker)


def test_a_slot_has_one_holder():
    first, second = leases.register_worker("deliveries"), leases.register_worker("deliveries")
    assert leases.take_slot(["host:0"], first)[0] == "host:0"
    assert leases.take_slot(["host:0"], second) is None
    assert leases.take_slot(["host:0", "host:1"], second)[0] == "host:1"


def test_a_holder_takes_its_own_slot_again_under_a_new_token():
    worker = leases.register_worker("deliveries")
    _, old = leases.take_slot(["host:0"], worker)
    _, new = leases.take_slot(["host:0"], worker)
    assert old != new


def test_the_slot_of_a_silent_holder_is_free():
    first, second = leases.register_worker("deliveries"), leases.register_worker("deliveries")
    leases.take_slot(["host:0"], first)
    _silence(first)
    assert leases.take_slot(["host:0"], second)[0] == "host:0"
    assert Slot.objects.get().holder_id == second


def test_the_slot_of_a_retired_holder_is_free():
    first, second = leases.register_worker("deliveries"), leases.register_worker("deliveries")
    leases.take_slot(["host:0"], first)
    leases.retire(first)
    assert leases.take_slot(["host:0"], second)[0] == "host:0"


def test_a_late_holder_can_not_free_what_another_has_taken():
    first, second = leases.register_worker("deliveries"), leases.register_worker("deliveries")
    _, old = leases.take_slot(["host:0"], first)
    _silence(first)
    _, new = leases.take_slot(["host:0"], second)
    leases.free_slot("host:0", old)
    assert Slot.objects.get().holder_id == second
    leases.free_slot("host:0", new)
    assert Slot.objects.get().holder_id is None
