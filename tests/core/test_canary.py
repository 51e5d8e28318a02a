"""The canary passes pusher, worker and monitor, and is noted for the supervisor and for every other machine."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from django.db import OperationalError
from django.utils import timezone
from django_q.signing import SignedPackage

from core import canary, leases, runfiles
from core.broker import DatabaseBroker
from core.models import Worker


@pytest.fixture(autouse=True)
def _clean() -> None:
    runfiles.forget_cluster("default")


def fly(cage: canary.Cage, after: float = 0) -> bool:
    with mock.patch.object(canary.time, "monotonic", return_value=canary.time.monotonic() + after):
        return cage.open()


def test_the_first_canary_flies_at_once_and_the_next_after_its_return() -> None:
    cage = canary.Cage("default")
    assert fly(cage)
    assert not fly(cage, 4)  # it is still out
    runfiles.canary_file("default").touch()
    assert not fly(cage, 1)  # it is back, but not due
    assert fly(cage, 4)


def test_a_canary_that_returns_at_once_is_noticed_though_clocks_of_files_lag() -> None:
    cage = canary.Cage("default")
    assert fly(cage)
    path = runfiles.canary_file("default")
    path.touch()
    os.utime(path, (1, 1))  # long before it was sent, by the file's clock
    assert fly(cage, 4)


def test_a_lost_canary_is_given_up_after_a_minute() -> None:
    cage = canary.Cage("default")
    assert fly(cage)
    assert not fly(cage, 59)
    assert fly(cage, 61)


@pytest.mark.django_db
def test_the_pusher_gets_a_canary_and_then_what_waits() -> None:
    broker = DatabaseBroker(list_key="default")
    ((acknowledge, package),) = broker.dequeue()
    task = SignedPackage.loads(package)
    assert acknowledge is None
    assert (task["func"], task["save"]) == (canary.TASK, False)
    broker.enqueue(SignedPackage.dumps({"func": "other"}))
    with mock.patch("django_q.brokers.orm.timezone.now", return_value=timezone.now() + timedelta(seconds=1)):
        ((_, package),) = broker.dequeue()
    assert SignedPackage.loads(package) == {"func": "other"}


@pytest.mark.django_db
def test_a_canary_is_the_heartbeat_of_its_cluster() -> None:
    assert canary.last_canary("default") is None
    perch = canary.Perch("default")
    perch.note()
    first = canary.last_canary("default")
    perch.note()
    assert first is not None
    assert Worker.objects.filter(kind="cluster:default").count() == 1
    assert canary.last_canary("default") >= first
    assert canary.last_canary("deliveries") is None


@pytest.mark.django_db
def test_a_new_monitor_clears_away_the_row_of_a_dead_one() -> None:
    dead = leases.register_worker("cluster:default")
    Worker.objects.filter(id=dead).update(heartbeat_at=timezone.now() - timedelta(minutes=1))
    canary.Perch("default").note()
    assert not Worker.objects.filter(id=dead).exists()


def test_the_file_is_touched_though_the_database_is_away(caplog: Any) -> None:
    with mock.patch.object(leases, "register_worker", side_effect=OperationalError), mock.patch.object(Worker.objects, "filter"):
        canary.Perch("default").note()
    assert runfiles.canary_file("default").exists()
    assert "canary_not_recorded" in caplog.text


def test_singing_does_nothing() -> None:
    assert canary.sing() is None
