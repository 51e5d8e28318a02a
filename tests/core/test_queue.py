"""The queue: messages are part of the sender's transaction, and schedules are exactly those that the code names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ, Schedule, Task

from core import queue

pytestmark = pytest.mark.django_db


def messages() -> list[dict[str, Any]]:
    return [row.task() if callable(row.task) else row.task for row in OrmQ.objects.order_by("id")]


def test_a_message_names_its_function_and_arguments() -> None:
    queue.enqueue("core.canary.sing", 1, "two", cluster=queue.DELIVERIES)
    (message,) = messages()
    assert (message["func"], message["args"], message["save"]) == ("core.canary.sing", (1, "two"), False)
    assert OrmQ.objects.get().key == queue.DELIVERIES


def test_a_rolled_back_sender_has_sent_nothing() -> None:
    with transaction.atomic():
        queue.enqueue("core.canary.sing")
        transaction.set_rollback(True)
    assert messages() == []


def test_another_broker_gets_the_message_after_the_commit(settings: Any, monkeypatch: Any, django_capture_on_commit_callbacks: Any) -> None:
    sent: list[str] = []
    monkeypatch.setattr(queue, "_send", lambda path, args, cluster, save: sent.append(path))
    settings.Q_CLUSTER = {name: value for name, value in settings.Q_CLUSTER.items() if name != "orm"}
    with django_capture_on_commit_callbacks(execute=True):
        queue.enqueue("core.canary.sing")
        assert sent == []
    assert sent == ["core.canary.sing"]


def test_it_refuses_a_cluster_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="no cluster 'fast'"):
        queue.enqueue("core.canary.sing", cluster="fast")
    with pytest.raises(ValueError, match="no cluster 'fast'"):
        queue.ensure_schedule("tick", "core.canary.sing", 1, "fast")


def test_a_schedule_is_made_once_and_keeps_its_next_run() -> None:
    queue.ensure_schedule("tick", "core.canary.sing", 1)
    before = Schedule.objects.get()
    queue.ensure_schedule("tick", "core.canary.sing", 1)
    after = Schedule.objects.get()
    assert (after.id, after.next_run) == (before.id, before.next_run)
    assert (after.schedule_type, after.minutes, after.repeats, after.cluster) == (Schedule.MINUTES, 1, -1, "default")


def test_a_changed_schedule_is_corrected_and_doubles_are_deleted() -> None:
    Schedule.objects.create(name="tick", func="os.system", args="'rm'", schedule_type=Schedule.ONCE)
    Schedule.objects.create(name="tick", func="os.system", schedule_type=Schedule.ONCE)
    queue.ensure_schedule("tick", "core.canary.sing", 5, queue.DELIVERIES)
    row = Schedule.objects.get()
    assert (row.func, row.minutes, row.cluster, row.args, row.hook) == ("core.canary.sing", 5, queue.DELIVERIES, None, None)


def test_a_schedule_of_another_name_does_not_linger() -> None:
    queue.ensure_schedule("tick", "core.canary.sing", 1)
    Schedule.objects.create(name="mine", func="os.system", schedule_type=Schedule.ONCE)
    assert queue.keep_only_schedules({"tick"}) == 1
    assert Schedule.objects.get().name == "tick"


def test_it_counts_what_waits() -> None:
    queue.enqueue("core.canary.sing")
    queue.enqueue("core.canary.sing", cluster=queue.DELIVERIES)
    assert queue.backlog() == {"default": 1, "deliveries": 1}


def test_there_is_no_count_for_another_broker(settings: Any) -> None:
    settings.Q_CLUSTER = {}
    assert queue.backlog() == {}


def test_old_results_are_pruned() -> None:
    now = timezone.now()
    for number, age in enumerate((1, 40)):
        stopped = now - timedelta(days=age)
        Task.objects.create(id=str(number), name=str(number), func="f", started=stopped, stopped=stopped)
    assert queue.prune_results(now - timedelta(days=30)) == 1
    assert Task.objects.get().id == "0"
