"""What is claimed and done in several threads at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import pytest
from django.db import OperationalError, transaction

from core import context, tasks, work, work_registry
from core.models import Housekeeping
from core.models.work import WorkState
from core.threads import together

ALWAYS: Callable[[], bool] = bool


@dataclass(frozen=True)
class Job:
    number: int
    id: uuid.UUID = field(default_factory=uuid.uuid4)


class Jobs:
    """A queue, and how many it was asked for."""

    def __init__(self, count: int) -> None:
        self.left: Iterator[Job] = iter([Job(number) for number in range(count)])
        self.asked: list[int] = []

    def claim(self, limit: int) -> list[Job]:
        self.asked.append(limit)
        return list(islice(self.left, limit))


def test_all_are_done_several_at_once_and_none_is_claimed_before_a_thread_is_free() -> None:
    jobs, done, together_there = Jobs(9), [], threading.Barrier(3)

    def perform(job: Job) -> None:
        together_there.wait(10)  # broken, were they done one after the other
        done.append(job.number)

    assert together(jobs.claim, perform, 3, ALWAYS) == 9
    assert sorted(done) == list(range(9))
    assert max(jobs.asked) == 3
    assert min(jobs.asked) >= 1


def test_one_that_takes_long_holds_up_no_other() -> None:
    jobs, done, others_done = Jobs(20), [], threading.Event()

    def perform(job: Job) -> None:
        if job.number == 0:
            assert others_done.wait(10)
        done.append(job.number)
        if len(done) == 19:
            others_done.set()

    assert together(jobs.claim, perform, 2, ALWAYS) == 20
    assert done[-1] == 0


def test_when_it_is_over_nothing_more_is_claimed_and_what_is_under_way_ends() -> None:
    jobs, done, over = Jobs(9), [], threading.Event()

    def perform(job: Job) -> None:
        over.set()
        done.append(job.number)

    assert together(jobs.claim, perform, 2, over.is_set) == 2
    assert sorted(done) == [0, 1]


@pytest.mark.parametrize(
    ("error", "event", "quoted"),
    [(ValueError("broken"), "thread_failed", True), (OperationalError("DETAIL: a row"), "thread_without_database", False)],
)
def test_one_that_fails_ends_no_other_and_is_in_the_log(
    error: Exception, event: str, quoted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    jobs, done = Jobs(4), []

    def perform(job: Job) -> None:
        if job.number == 1:
            raise error
        done.append(job.number)

    assert together(jobs.claim, perform, 2, ALWAYS) == 4
    assert sorted(done) == [0, 2, 3]
    (record,) = [record for record in caplog.records if record.name == "core.threads"]
    assert record.getMessage() == event
    assert (str(error) in caplog.text) is quoted


def test_each_is_done_by_whoever_called() -> None:
    actors = []
    with context.acting(context.Actor("system", "", "a test")):
        together(Jobs(3).claim, lambda job: actors.append(context.actor().label), 2, ALWAYS)
    assert actors == ["a test"] * 3


@pytest.mark.django_db(transaction=True)
def test_a_worker_runs_as_many_rows_at_once_as_their_kind_says(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2)
    at_once: list[bool] = []

    def handler(run: work.Run) -> None:
        at_once.append(transaction.get_connection().in_atomic_block)
        both.wait(10)

    kind = work_registry.Kind("test.several", Housekeeping, handler, called=True, at_once=2)
    monkeypatch.setattr(work_registry, "_kinds", {kind.name: kind})
    for number in range(4):
        Housekeeping.objects.create(job=f"test.{number}")
    assert tasks.run_work(kind.name) == 4
    assert set(Housekeeping.objects.values_list("state", "attempts", "lease_token")) == {(WorkState.DONE, 1, None)}
    assert at_once == [False] * 4
