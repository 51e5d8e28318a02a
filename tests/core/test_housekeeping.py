from __future__ import annotations

import io
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.utils import timezone

from core import context, housekeeping, leases, pruning, queue, schedules, tasks, work, work_registry
from core.errors import NotFound
from core.housekeeping import Batch, Job, Step
from core.ids import first_id_at
from core.models import Housekeeping, IdempotencyKey, Worker
from core.models.work import WorkState

pytestmark = pytest.mark.django_db
HALF_PAST_NINE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def only(monkeypatch):
    """Return a function that makes the given jobs the only ones."""

    def replace(*jobs: Job) -> None:
        monkeypatch.setattr(housekeeping, "_jobs", {job.name: job for job in jobs})

    return replace


@pytest.fixture
def sent(monkeypatch) -> list[tuple]:
    """Return the messages that were sent to the queue."""
    messages: list[tuple] = []
    monkeypatch.setattr(queue, "enqueue", lambda path, *args, **options: messages.append((path, args, options)))
    return messages


def _job(name: str = "sample", every: timedelta = timedelta(hours=1), run=lambda batch: Step()) -> Job:
    return Job(name, every, "A sample.", run)


def _old_id(**age: float) -> uuid.UUID:
    """Return an id of a row created that long ago."""
    return uuid.UUID(int=first_id_at(timezone.now() - timedelta(**age)).int + uuid.uuid4().int % (1 << 60))


def _finish_all() -> None:
    Housekeeping.objects.update(state=WorkState.DONE)


# --- planning ---------------------------------------------------------------------------------------------------------


def test_a_job_is_planned_once_in_its_period(only):
    only(_job())
    assert housekeeping.plan(HALF_PAST_NINE) == 1
    _finish_all()
    assert housekeeping.plan(HALF_PAST_NINE + timedelta(minutes=29)) == 0
    assert housekeeping.plan(HALF_PAST_NINE + timedelta(minutes=30)) == 1
    assert set(Housekeeping.objects.values_list("slot", flat=True)) == {"2026-03-01T09:00:00+00:00", "2026-03-01T10:00:00+00:00"}


@pytest.mark.parametrize("state", [WorkState.QUEUED, WorkState.RUNNING])
def test_a_job_that_is_not_finished_is_not_planned_again(only, state):
    only(_job(), _job("other"))
    housekeeping.plan(HALF_PAST_NINE)
    Housekeeping.objects.filter(job="sample").update(state=state)
    Housekeeping.objects.filter(job="other").update(state=WorkState.FAILED)
    housekeeping.plan(HALF_PAST_NINE + timedelta(hours=5))
    assert Housekeeping.objects.filter(job="sample").count() == 1
    assert Housekeeping.objects.filter(job="other").count() == 2


def test_planning_costs_two_statements_however_many_jobs(only, django_assert_max_num_queries):
    only(*[_job(f"job-{number}") for number in range(50)])
    with django_assert_max_num_queries(4):  # with SQLite's savepoint
        assert housekeeping.plan() == 50


def test_a_name_declared_twice_stops_the_start(only):
    only(_job())
    with pytest.raises(ValueError, match="declared twice"):
        housekeeping.register(_job(every=timedelta(days=1)))


def test_every_shipped_job_has_a_help_and_a_period():
    assert {job.name.split(".")[0] for job in housekeeping.jobs()} == {"access", "builds", "core", "integrations", "scans", "webhooks"}
    for job in housekeeping.jobs():
        assert job.help.endswith(".")
        assert job.every >= timedelta(minutes=1)


# --- running ----------------------------------------------------------------------------------------------------------


def _run() -> Housekeeping:
    work.run_due(Housekeeping, housekeeping.perform)
    return Housekeeping.objects.get()


def test_a_job_runs_batch_by_batch_from_where_the_last_ended(only, monkeypatch):
    monkeypatch.setattr(housekeeping, "LONGEST_BREATH_SECONDS", 0)
    seen: list[str] = []

    def run(batch: Batch) -> Step:
        seen.append(batch.cursor)
        return Step(10, "ab"[len(seen) - 1] if len(seen) < 3 else "")

    only(_job(run=run))
    housekeeping.plan()
    row = _run()
    assert seen == ["", "a", "b"]
    assert (row.state, row.progress) == (WorkState.DONE, {"rows": 30, "cursor": ""})


def test_a_long_job_gives_way_and_goes_on_later(only, monkeypatch):
    steps = iter([Step(10, "a"), Step(5)])
    cursors: list[str] = []

    def run(batch: Batch) -> Step:
        cursors.append(batch.cursor)
        return next(steps)

    only(_job(run=run))
    housekeeping.plan()
    monkeypatch.setattr(work.Run, "time_is_up", lambda run: True)
    row = Housekeeping.objects.get()
    work.perform(_claimed(), housekeeping.perform)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.progress) == (WorkState.QUEUED, 0, {"rows": 10, "cursor": "a"})
    work.perform(_claimed(), housekeeping.perform)
    row.refresh_from_db()
    assert (row.state, row.progress["rows"]) == (WorkState.DONE, 15)
    assert cursors == ["", "a"]


def _claimed() -> work.Run:
    (row,) = work.claim(Housekeeping, leases.register_worker("work"))
    return work.Run(row, row.lease_token)


def test_a_job_killed_between_two_batches_is_resumed(only):
    cursors: list[str] = []

    def run(batch: Batch) -> Step:
        cursors.append(batch.cursor)
        if batch.cursor == "a" and len(cursors) == 2:
            raise SystemExit
        return Step(1, "a" if not batch.cursor else "")

    only(_job(run=run))
    housekeeping.plan()
    with pytest.raises(SystemExit):
        _run()
    Housekeeping.objects.update(run_after=timezone.now())
    row = _run()
    assert cursors == ["", "a", "a"]
    assert (row.state, row.progress["rows"]) == (WorkState.DONE, 2)


def test_a_job_of_another_release_ends_with_a_sentence(only):
    only(_job("other"))
    Housekeeping.objects.create(job="gone", slot="x")
    row = _run()
    assert row.state == WorkState.FAILED
    assert row.error == "There is no housekeeping job 'gone'; there are other."


# --- the tick ---------------------------------------------------------------------------------------------------------


def test_the_tick_plans_sweeps_and_wakes(only, sent):
    only(_job())
    tasks.tick()
    assert Housekeeping.objects.count() == 1
    assert sent == [("core.tasks.run_work", ("housekeeping",), {"cluster": "default"})]
    Housekeeping.objects.update(state=WorkState.RUNNING, lease_owner=uuid.uuid4(), lease_token=uuid.uuid4())
    tasks.tick()
    assert Housekeeping.objects.get().state == WorkState.QUEUED, "the row of a dead worker was not taken back"
    assert len(sent) == 2, "a lost message was not sent again"


def test_the_tick_wakes_nobody_for_nothing(only, sent):
    only()
    tasks.tick()
    assert sent == []


def test_run_work_runs_what_is_due_as_background_work(only):
    actors: list[str] = []

    def run(batch: Batch) -> Step:
        actors.append(context.actor().label)
        return Step()

    only(_job(run=run))
    housekeeping.plan()
    assert tasks.run_work("housekeeping") == 1
    assert actors == ["background work"]
    assert tasks.run_work("of another release") == 0


def test_run_work_stops_when_its_cluster_is_told_to(only, monkeypatch):
    monkeypatch.setattr(tasks.runfiles, "stopping", lambda: True)
    only(_job())
    housekeeping.plan()
    assert tasks.run_work("housekeeping") == 0


def test_waking_names_the_kind_and_its_cluster(sent):
    work_registry.wake("housekeeping")
    assert sent == [("core.tasks.run_work", ("housekeeping",), {"cluster": "default"})]


def test_a_kind_declared_twice_stops_the_start():
    with pytest.raises(ValueError, match="declared twice"):
        work_registry.register(work_registry.Kind("housekeeping", Housekeeping, lambda run: None))


def test_the_schedules_are_made_once_and_others_removed():
    from django_q.models import Schedule

    Schedule.objects.create(name="stray", func="os.system")
    schedules.ensure()
    schedules.ensure()
    rows = set(Schedule.objects.values_list("func", "cluster", "minutes"))
    assert rows == {
        ("core.tasks.tick", "default", 1),
        ("access.usage.fold", "default", 1),
        ("integrations.health.tasks.tick", "default", 1),
        ("webhooks.tasks.ensure_drains", "deliveries", 1),
    }
    assert Schedule.objects.count() == 4


def test_a_cluster_starts_with_the_tasks_that_asked_for_it(monkeypatch):
    sent = []
    monkeypatch.setattr(queue, "enqueue", lambda path, **values: sent.append((path, values)))
    schedules.enqueue_start_tasks(queue.DEFAULT)
    assert sent == []
    schedules.enqueue_start_tasks(queue.DELIVERIES)
    assert sent == [("webhooks.tasks.ensure_drains", {"cluster": "deliveries"})]


def test_a_schedule_declared_twice_stops_the_start():
    with pytest.raises(ValueError, match="declared twice"):
        schedules.register(schedules.Schedule(schedules.TICK.name, "os.system"))


# --- the jobs of the plumbing -----------------------------------------------------------------------------------------


def _keys(count: int, **age: float) -> None:
    IdempotencyKey.objects.bulk_create(
        [IdempotencyKey(id=_old_id(**age), fingerprint=uuid.uuid4().hex, body_hash="x") for _ in range(count)]
    )


def test_answers_are_kept_a_day():
    _keys(2, hours=25)
    _keys(1, hours=23)
    assert housekeeping.run_now(housekeeping.find("core.idempotency_keys")) == 2
    assert IdempotencyKey.objects.count() == 1


def test_pruning_works_in_batches_and_resumes_at_its_cursor(django_assert_max_num_queries):
    _keys(5, hours=25)
    with django_assert_max_num_queries(4):
        first = pruning.prune_idempotency_keys(Batch(limit=2))
    assert first.rows == 2
    assert IdempotencyKey.objects.count() == 3
    second = pruning.prune_idempotency_keys(Batch(limit=2, cursor=first.cursor))
    last = pruning.prune_idempotency_keys(Batch(limit=2, cursor=second.cursor))
    assert (second.rows, last.rows, last.cursor) == (2, 1, "")
    assert not IdempotencyKey.objects.exists()


def test_a_dry_run_counts_all_and_deletes_nothing(monkeypatch):
    _keys(5, hours=25)
    monkeypatch.setattr(Batch, "limit", 2)
    assert housekeeping.run_now(housekeeping.find("core.idempotency_keys"), dry_run=True) == 5
    assert IdempotencyKey.objects.count() == 5


def test_ended_runs_are_kept_two_weeks():
    for state in WorkState.values:
        Housekeeping.objects.create(id=_old_id(days=15), job="sample", slot=f"old {state}", state=state)
    Housekeeping.objects.create(id=_old_id(days=13), job="sample", slot="new", state=WorkState.DONE)
    housekeeping.run_now(housekeeping.find("core.history"))
    assert set(Housekeeping.objects.values_list("slot", flat=True)) == {"old queued", "old running", "new"}


def test_workers_silent_for_an_hour_are_deleted():
    for kind, minutes in (("work", 61), ("work", 59), ("deliveries", 59)):
        worker = leases.register_worker(kind)
        Worker.objects.filter(id=worker).update(heartbeat_at=Now() - timedelta(minutes=minutes))
    assert housekeeping.run_now(housekeeping.find("core.workers"), dry_run=True) == 1
    assert housekeeping.run_now(housekeeping.find("core.workers")) == 1
    assert sorted(Worker.objects.values_list("kind", flat=True)) == ["deliveries", "work"]


def test_expired_sessions_are_deleted():
    for key, hours in (("old", -1), ("new", 1)):
        Session.objects.create(session_key=key, session_data="", expire_date=timezone.now() + timedelta(hours=hours))
    assert housekeeping.run_now(housekeeping.find("core.sessions"), dry_run=True) == 1
    assert housekeeping.run_now(housekeeping.find("core.sessions")) == 1
    assert Session.objects.get().session_key == "new"


def test_old_task_results_are_deleted():
    from django_q.models import Task

    for key, days in (("old", 15), ("new", 13)):
        at = timezone.now() - timedelta(days=days)
        Task.objects.create(id=key, name=key, func="f", started=at, stopped=at, success=True)
    assert housekeeping.run_now(housekeeping.find("core.task_results"), dry_run=True) == 0
    assert housekeeping.run_now(housekeeping.find("core.task_results")) == 1
    assert Task.objects.get().id == "new"


# --- the command ------------------------------------------------------------------------------------------------------


def _command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("housekeeping", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_runs_one_job():
    _keys(2, hours=25)
    assert "would handle 2 rows" in _command("--job", "core.idempotency_keys", "--dry-run")
    assert _command("--job", "core.idempotency_keys") == "core.idempotency_keys  handled 2 rows\n"
    assert not IdempotencyKey.objects.exists()


def test_the_command_runs_every_job():
    lines = _command().splitlines()
    assert [line.split()[0] for line in lines] == [job.name for job in housekeeping.jobs()]


def test_the_command_lists_the_jobs():
    assert "core.history" in _command("--list")


def test_the_command_refuses_an_unknown_job():
    with pytest.raises(CommandError, match=r"no housekeeping job 'nope'; there are access\.audit"):
        _command("--job", "nope")
    with pytest.raises(NotFound):
        housekeeping.find("nope")
