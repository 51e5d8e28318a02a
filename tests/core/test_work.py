from __future__ import annotations

import signal
import threading
import uuid
from datetime import timedelta

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import leases, work
from core.errors import InvalidInput, Unavailable
from core.models import Housekeeping, Worker
from core.models.work import WorkState
from tests.core.processes import line_of, python, say

pytestmark = pytest.mark.django_db


def _row(**values) -> Housekeeping:
    return Housekeeping.objects.create(job="sample", slot=uuid.uuid4().hex, **values)


def _claimed(**values) -> Housekeeping:
    row = _row(**values)
    return work.claim(Housekeeping, leases.register_worker("work"))[0] if row else row


def _silence_everyone() -> None:
    Worker.objects.update(heartbeat_at=Now() - timedelta(seconds=leases.LAPSE_SECONDS + 1))


# --- claim ------------------------------------------------------------------------------------------------------------


def test_a_claim_leases_the_row_and_counts_the_attempt():
    row, worker = _row(), leases.register_worker("work")
    (claimed,) = work.claim(Housekeeping, worker)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.lease_owner, row.lease_token) == (WorkState.RUNNING, 1, worker, claimed.lease_token)
    assert claimed.attempts == 1
    assert claimed.lease_token is not None


def test_a_row_is_claimed_once():
    _row()
    worker = leases.register_worker("work")
    assert len(work.claim(Housekeeping, worker)) == 1
    assert work.claim(Housekeeping, worker) == []


def test_a_claim_takes_the_oldest_first_and_no_more_than_asked():
    now = timezone.now()
    rows = [_row(run_after=now - timedelta(minutes=age)) for age in (1, 3, 2)]
    claimed = work.claim(Housekeeping, leases.register_worker("work"), 2)
    assert [row.id for row in claimed] == [rows[1].id, rows[2].id]


def test_a_row_is_not_claimed_before_its_time():
    _row(run_after=timezone.now() + timedelta(minutes=1))
    assert not work.is_due(Housekeeping)
    assert work.claim(Housekeeping, leases.register_worker("work")) == []


def test_an_idle_claim_only_reads(django_assert_num_queries):
    with django_assert_num_queries(1) as queries:
        assert work.claim(Housekeeping, uuid.uuid4()) == []
    assert queries.captured_queries[0]["sql"].startswith("SELECT")


# --- outcomes ---------------------------------------------------------------------------------------------------------


def test_finish_ends_the_lease():
    row = _claimed()
    assert work.finish(row, row.lease_token)
    row.refresh_from_db()
    assert (row.state, row.lease_owner, row.lease_token) == (WorkState.DONE, None, None)
    assert row.finished_at is not None


def test_fail_tries_again_later_while_attempts_are_left():
    row = _claimed(max_attempts=2)
    assert work.fail(row, row.lease_token, "not yet", 60)
    row.refresh_from_db()
    assert (row.state, row.error, row.attempts, row.lease_owner) == (WorkState.QUEUED, "not yet", 1, None)
    assert row.run_after > timezone.now() + timedelta(seconds=55)


def test_fail_is_final_when_attempts_are_used_up():
    row = _claimed(max_attempts=1)
    assert work.fail(row, row.lease_token, "broken", 60)
    row.refresh_from_db()
    assert (row.state, row.error) == (WorkState.FAILED, "broken")
    assert row.finished_at is not None


def test_fail_without_a_retry_is_final():
    row = _claimed(max_attempts=5)
    work.fail(row, row.lease_token, "hopeless")
    row.refresh_from_db()
    assert row.state == WorkState.FAILED


def test_a_row_put_back_starts_its_attempts_anew():
    row = _claimed()
    assert work.put_back(row, row.lease_token, 0)
    row.refresh_from_db()
    assert (row.state, row.attempts, row.lease_owner) == (WorkState.QUEUED, 0, None)


def test_what_no_database_stores_is_taken_out_of_what_is_recorded():
    ended = {
        "fail": lambda row: work.fail(row, row.lease_token, "the service said \0 and \ud800", 5),
        "finish": lambda row: work.finish(row, row.lease_token, "the service said \0 and \ud800"),
        "put_back": lambda row: work.put_back(row, row.lease_token, 5, "the service said \0 and \ud800"),
    }
    for name, end in ended.items():
        row = _claimed()
        assert end(row), name
        row.refresh_from_db()
        assert row.error == "the service said \N{SYMBOL FOR NULL} and ?"
        row.delete()
    row = _claimed()
    assert work.progress(row, row.lease_token, {"said\0": ["\0"]})
    row.refresh_from_db()
    assert row.progress == {"said\N{SYMBOL FOR NULL}": ["\N{SYMBOL FOR NULL}"]}


def test_a_lost_lease_records_nothing():
    row = _claimed()
    old = row.lease_token
    _silence_everyone()
    work.sweep(Housekeeping)
    (successor,) = work.claim(Housekeeping, leases.register_worker("work"))
    assert not work.progress(row, old, {"rows": 1})
    assert not work.finish(row, old)
    assert not work.fail(row, old, "late")
    assert not work.put_back(row, old)
    row.refresh_from_db()
    assert (row.state, row.lease_token, row.progress, row.error) == (WorkState.RUNNING, successor.lease_token, {}, work.WORKER_LOST)
    assert work.finish(successor, successor.lease_token)


def test_a_swept_row_records_nothing_before_its_next_claim():
    row = _claimed()
    _silence_everyone()
    work.sweep(Housekeeping)
    assert not work.finish(row, row.lease_token)


# --- sweep ------------------------------------------------------------------------------------------------------------


def test_the_sweep_leaves_a_live_worker_its_rows(django_assert_num_queries):
    _claimed()
    with django_assert_num_queries(1):
        assert work.sweep(Housekeeping) == 0


@pytest.mark.parametrize("gone", ["silent", "deleted"])
def test_the_sweep_queues_the_rows_of_a_dead_worker_again(gone):
    row = _claimed()
    if gone == "silent":
        _silence_everyone()
    else:
        Worker.objects.all().delete()
    assert work.sweep(Housekeeping) == 1
    row.refresh_from_db()
    assert (row.state, row.lease_owner, row.error) == (WorkState.QUEUED, None, work.WORKER_LOST)
    assert work.is_due(Housekeeping)


def test_a_row_that_keeps_killing_its_worker_ends():
    row = _row(max_attempts=3)
    for _ in range(3):
        assert work.claim(Housekeeping, leases.register_worker("work"))
        _silence_everyone()
        assert work.sweep(Housekeeping) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts, row.error) == (WorkState.FAILED, 3, work.WORKER_LOST)
    assert row.finished_at is not None


# --- run_due ----------------------------------------------------------------------------------------------------------


def test_it_runs_everything_that_is_due():
    rows = [_row() for _ in range(3)]
    seen: list[uuid.UUID] = []
    assert work.run_due(Housekeeping, lambda run: seen.append(run.row.id)) == 3
    assert seen == [row.id for row in rows]
    assert set(Housekeeping.objects.values_list("state", flat=True)) == {WorkState.DONE}
    assert not Worker.objects.exists()


def test_it_first_takes_back_what_a_dead_worker_held():
    row = _claimed()
    _silence_everyone()
    assert work.run_due(Housekeeping, lambda run: None) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == (WorkState.DONE, 2)


def test_it_is_alive_while_the_handler_runs():
    row = _row()

    def handler(run: work.Run) -> None:
        row.refresh_from_db()
        assert row.lease_owner == Worker.objects.get(kind="work").id
        assert work.sweep(Housekeeping) == 0

    work.run_due(Housekeeping, handler)
    row.refresh_from_db()
    assert row.state == WorkState.DONE


def test_it_stops_taking_rows_when_its_time_is_over():
    _row()
    assert work.run_due(Housekeeping, lambda run: None, seconds=0) == 0
    assert Housekeeping.objects.get().attempts == 0


def test_a_handler_that_is_not_finished_goes_on_later():
    row = _row()
    work.run_due(Housekeeping, lambda run: work.Later(60))
    row.refresh_from_db()
    assert (row.state, row.attempts) == (WorkState.QUEUED, 0)
    assert row.run_after > timezone.now()


def test_a_handler_may_record_its_end_along_with_what_it_wrote():
    row = _row()

    def handler(run: work.Run) -> work.Recorded:
        assert work.finish(run.row, run.token, "all there", progress={"rows": 3})
        return work.Recorded()

    assert work.run_due(Housekeeping, handler) == 1
    row.refresh_from_db()
    assert (row.state, row.error, row.progress) == (WorkState.DONE, "all there", {"rows": 3})


def test_a_row_costs_two_statements_to_claim_and_one_to_finish():
    counts = []
    for number in (1, 4):
        for _ in range(number):
            _row()
        with CaptureQueriesContext(connection) as queries:
            work.run_due(Housekeeping, lambda run: None)
        counts.append(sum("core_housekeeping" in query["sql"] for query in queries))
    assert counts[1] - counts[0] == 3 * (2 + 1)


@pytest.mark.parametrize("said", [work.Later(60, "the other side sleeps"), work.Done("the other side sleeps")])
def test_a_handler_may_leave_a_note(said):
    row = _row(error="an old fault")
    work.run_due(Housekeeping, lambda run: said)
    row.refresh_from_db()
    assert (row.error, row.lease_token) == ("the other side sleeps", None)
    assert row.state == (WorkState.DONE if isinstance(said, work.Done) else WorkState.QUEUED)


def test_an_unexpected_error_is_tried_again_and_shown_without_its_text():
    row = _row()

    def handler(run: work.Run) -> None:
        raise ValueError("the password is hunter2")

    work.run_due(Housekeeping, handler)
    row.refresh_from_db()
    assert (row.state, row.attempts) == (WorkState.QUEUED, 1)
    assert row.error.startswith("ValueError")
    assert "hunter2" not in row.error


def test_a_permanent_error_is_final_and_a_passing_one_is_not():
    row = _row()
    work.run_due(Housekeeping, _raising(Unavailable("Come back later.", retry_after=300)))
    row.refresh_from_db()
    assert (row.state, row.error) == (WorkState.QUEUED, "Come back later.")
    assert row.run_after > timezone.now() + timedelta(seconds=290)
    Housekeeping.objects.update(run_after=timezone.now())
    work.run_due(Housekeeping, _raising(InvalidInput("It will never work.")))
    row.refresh_from_db()
    assert (row.state, row.error) == (WorkState.FAILED, "It will never work.")


def test_a_time_limit_of_the_queue_is_recorded_and_passed_on():
    row = _row()
    with pytest.raises(SystemExit):
        work.run_due(Housekeeping, _raising(SystemExit()))
    row.refresh_from_db()
    assert (row.state, row.attempts, row.lease_owner) == (WorkState.QUEUED, 1, None)
    assert not Worker.objects.exists()


def test_a_handler_that_lost_its_lease_is_stopped_by_its_progress():
    row = _row()

    def handler(run: work.Run) -> None:
        _silence_everyone()
        work.sweep(Housekeeping)
        Housekeeping.objects.update(run_after=timezone.now() + timedelta(hours=1))
        run.save_progress({"rows": 1})
        raise AssertionError("it went on without its lease")

    work.run_due(Housekeeping, handler)
    row.refresh_from_db()
    assert (row.state, row.error, row.progress) == (WorkState.QUEUED, work.WORKER_LOST, {})


def test_retries_wait_longer_each_time_up_to_an_hour():
    assert [work.retry_delay(attempts) for attempts in (1, 2, 3, 20)] == [30, 60, 120, 3600]


def _raising(error: BaseException) -> work.Handler:
    def handler(run: work.Run) -> None:
        raise error

    return handler


def test_an_end_that_can_not_be_recorded_is_passed_on_and_swept_later(monkeypatch):
    row = _row()

    def away(*args) -> bool:
        raise InterfaceError("the connection is closed")

    monkeypatch.setattr(work, "fail", away)
    with pytest.raises(SystemExit):
        work.run_due(Housekeeping, _raising(SystemExit()))
    assert work.sweep(Housekeeping) == 1
    row.refresh_from_db()
    assert row.state == WorkState.QUEUED


# --- the heartbeat ----------------------------------------------------------------------------------------------------


@pytest.fixture
def fast_heartbeat(monkeypatch):
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.02)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [None, OperationalError, InterfaceError])
def test_a_long_run_stays_alive_also_over_a_restart_of_the_database(fast_heartbeat, monkeypatch, error):
    row, beat, failures = _row(), leases.beat, [error] if error else []

    def once_away(worker_id: uuid.UUID) -> bool:
        if failures:
            raise failures.pop()("terminating connection")
        return beat(worker_id)

    monkeypatch.setattr(leases, "beat", once_away)
    work.run_due(Housekeeping, lambda run: _wait_for_another_heartbeat())
    row.refresh_from_db()
    assert row.state == WorkState.DONE
    assert not failures


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_was_given_up_says_so(fast_heartbeat, caplog):
    _row()

    def handler(run: work.Run) -> None:
        Worker.objects.all().delete()
        _wait_for(lambda: "heartbeat_given_up" in caplog.messages)

    work.run_due(Housekeeping, handler)


# --- several at once, and killed --------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_run_each_row_once():
    rows = {_row().id for _ in range(30)}
    seen: list[uuid.UUID] = []

    def worker() -> None:
        try:
            work.run_due(Housekeeping, lambda run: seen.append(run.row.id))
        finally:
            connection.close()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(rows)
    assert set(Housekeeping.objects.values_list("attempts", "state")) == {(1, WorkState.DONE)}


_HANGS = """
import time
from core import leases, work
from core.models import Housekeeping
leases.HEARTBEAT_SECONDS = 0.1
def handler(run):
    run.save_progress({"rows": 1})
    print("running", flush=True)
    time.sleep(600)
work.run_due(Housekeeping, handler)
"""


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_the_work_of_a_killed_process_is_run_by_another(monkeypatch):
    row = _row()
    with python(_HANGS) as process:
        assert line_of(process) == "running"
        monkeypatch.setattr(leases, "LAPSE_SECONDS", 1.5)
        _wait_for_another_heartbeat()
        assert work.run_due(Housekeeping, lambda run: None) == 0, "it was run twice at once"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    _wait_until_swept()
    seen: list[dict] = []
    assert work.run_due(Housekeeping, lambda run: seen.append(run.row.progress)) == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == (WorkState.DONE, 2)
    assert seen == [{"rows": 1}], "the successor did not see how far the first had come"


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_stopped_process_that_wakes_up_records_nothing(monkeypatch):
    row = _row()
    with python(_HANGS.replace("time.sleep(600)", "sys.stdin.readline()") + "print('over', flush=True)") as process:
        assert line_of(process) == "running"
        process.send_signal(signal.SIGSTOP)
        monkeypatch.setattr(leases, "LAPSE_SECONDS", 0.5)
        _wait_until_swept()
        (successor,) = work.claim(Housekeeping, leases.register_worker("work"))
        process.send_signal(signal.SIGCONT)
        say(process, "go on")
        assert line_of(process) == "over"
    row.refresh_from_db()
    assert (row.state, row.lease_token) == (WorkState.RUNNING, successor.lease_token)


def _wait_for_another_heartbeat() -> None:
    first = Worker.objects.get().heartbeat_at
    _wait_for(lambda: Worker.objects.get().heartbeat_at > first)


def _wait_until_swept() -> None:
    _wait_for(lambda: work.sweep(Housekeeping) == 1)


def _wait_for(condition) -> None:
    pause = threading.Event()
    for _ in range(1200):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it did not happen within a minute")
