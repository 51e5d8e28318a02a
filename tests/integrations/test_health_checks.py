from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from core import queue, runtime, schedules
from core.errors import OutboundError
from core.http.door import CallFailed, QuotaUsedUp
from core.models import Event, RuntimeSettings, Slot, Worker
from integrations.contract.connector import CheckResult
from integrations.health import claims, tasks
from integrations.health.checks import check_and_record
from integrations.models import HealthSample, Integration, IntegrationHealth
from tests.integrations.health_kit import (  # noqa: F401
    StubChecker,
    answers,
    health_of,
    make_due,
    make_integration,
    raising,
    state_of,
    stub,
    wait_until,
)  # fmt: skip

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


# --- What is due ------------------------------------------------------------------------------------------------------


def test_active_integrations_whose_time_has_come_are_claimed():
    due = make_integration()
    make_integration("off", status="inactive")
    make_integration("no test", type="nothing")
    later = make_integration("later")
    IntegrationHealth.objects.filter(pk=later.pk).update(next_check_at=timezone.now() + MINUTE)
    assert claims.is_due()
    assert [claim.integration.pk for claim in claims.claim(10)] == [due.pk]
    assert not claims.is_due()
    assert claims.claim(10) == []


def test_the_longest_overdue_comes_first():
    rows = [make_integration(str(number)) for number in range(3)]
    IntegrationHealth.objects.filter(pk=rows[2].pk).update(next_check_at=timezone.now() - MINUTE)
    assert [claim.integration.pk for claim in claims.claim(1)] == [rows[2].pk]


def test_a_claim_that_another_process_took_meanwhile_is_left_to_it(monkeypatch):
    make_integration()
    seen = claims._due

    def and_then_another(now):
        rows = list(seen(now).values_list("pk", "lease_token", "integration__timeout_seconds"))
        IntegrationHealth.objects.update(lease_token=uuid.uuid4(), lease_until=timezone.now() + MINUTE)
        return type("Rows", (), {"order_by": lambda *_: type("R", (), {"values_list": lambda *_: rows})()})()

    monkeypatch.setattr(claims, "_due", and_then_another)
    assert claims.claim(5) == []


def test_a_killed_check_is_repeated_when_its_lease_has_lapsed():
    row = make_integration()
    (killed,) = claims.claim(5)
    assert claims.claim(5) == []
    IntegrationHealth.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    (repeated,) = claims.claim(5)
    check_and_record(repeated.integration, repeated.token)
    check_and_record(killed.integration, killed.token)  # it was only slow
    assert HealthSample.objects.filter(integration=row).count() == 1


def test_a_lease_outlasts_the_calls_of_a_check():
    row = make_integration(timeout_seconds=120)
    claims.claim(1)
    assert health_of(row).lease_until - timezone.now() > timedelta(seconds=4 * 120)


def test_new_integrations_are_enrolled_within_a_minute():
    row = Integration.objects.create(name="new", type="stub", category="monitoring")
    claims.prepare()
    assert timedelta(0) <= health_of(row).next_check_at - timezone.now() + timedelta(seconds=1) <= MINUTE + timedelta(seconds=1)


def test_a_shorter_interval_counts_at_once():
    rows = [make_integration(name, criticality=name) for name in ("critical", "important", "optional")]
    IntegrationHealth.objects.update(next_check_at=timezone.now() + 60 * MINUTE)
    claims.prepare()
    left = [round((health_of(row).next_check_at - timezone.now()) / MINUTE) for row in rows]
    assert left == [1, 5, 30]


def test_intervals_are_those_of_the_settings():
    RuntimeSettings.objects.create(pk=1, check_minutes_important=20)
    runtime.forget()
    row = make_integration()
    (claim,) = claims.claim(1)
    check_and_record(claim.integration, claim.token)
    assert timedelta(minutes=16.5) < health_of(row).next_check_at - timezone.now() <= timedelta(minutes=20)


# --- One check --------------------------------------------------------------------------------------------------------


def _run_one() -> None:
    for claim in claims.claim(1):
        check_and_record(claim.integration, claim.token)


def test_a_good_check_is_recorded_with_its_time():
    row = make_integration()
    _run_one()
    sample = HealthSample.objects.get()
    assert (sample.ok, sample.trigger, sample.error, state_of(row)) == (True, "schedule", "", "healthy")
    assert sample.response_ms >= 0


def test_a_failed_check_is_recorded_with_its_sentence(monkeypatch):
    row = make_integration()
    answers(monkeypatch, raising(OutboundError("The name does not resolve; correct the base URL.", code="dns")))
    _run_one()
    sample = HealthSample.objects.get()
    assert (sample.ok, sample.error_class, sample.error) == (False, "dns", "The name does not resolve; correct the base URL.")
    assert state_of(row) == "unknown"


def test_a_connector_that_breaks_fails_its_own_integration_only(monkeypatch):
    make_integration()
    answers(monkeypatch, raising(ZeroDivisionError("secret-in-a-fault")))
    _run_one()
    sample = HealthSample.objects.get()
    assert (sample.ok, sample.error_class) == (None, "internal")
    assert "secret-in-a-fault" not in sample.error


def test_a_used_up_quota_says_nothing_about_the_other_side(monkeypatch):
    row = make_integration()
    answers(monkeypatch, raising(QuotaUsedUp("The quota is used up.", retry_after=60)))
    _run_one()
    assert not HealthSample.objects.exists()
    assert health_of(row).lease_token is None
    assert health_of(row).next_check_at > timezone.now()


def test_an_internal_error_of_the_door_is_not_the_services(monkeypatch):
    row = make_integration()
    answers(monkeypatch, raising(CallFailed("The portal failed to make this call (KeyError); its log has the details.", code="internal")))
    _run_one()
    assert HealthSample.objects.get().ok is None
    assert health_of(row).consecutive_failures == 0


def test_credentials_that_cannot_be_read_are_not_measured_and_spoil_no_other(settings):
    broken = make_integration("broken", credentials={"token": "x"})
    settings.FERNET_KEYS = ["another key that is long enough to be one"]
    fine = make_integration("fine", credentials={"token": "y"})
    for claim in claims.claim(5):
        check_and_record(claim.integration, claim.token)
    sample = HealthSample.objects.get(integration=broken)
    assert (sample.ok, sample.error_class, sample.response_ms) == (None, "unreadable_secret", None)
    assert "FERNET_KEYS" in health_of(broken).not_measured
    assert HealthSample.objects.get(integration=fine).ok is True


def test_it_learns_when_the_credentials_end(monkeypatch):
    row, ends = make_integration(), timezone.now() + timedelta(days=40)
    answers(monkeypatch, lambda connector: CheckResult("ok", credentials_expire_at=ends))
    _run_one()
    row.refresh_from_db()
    assert row.credentials_expire_at == ends


def test_it_does_not_take_the_old_end_for_that_of_new_credentials(monkeypatch):
    row = make_integration()

    def rotated_meanwhile(connector):
        Integration.objects.update(credentials_changed_at=timezone.now())
        return CheckResult("ok", credentials_expire_at=timezone.now())

    answers(monkeypatch, rotated_meanwhile)
    _run_one()
    row.refresh_from_db()
    assert row.credentials_expire_at is None


# --- The tasks --------------------------------------------------------------------------------------------------------


def test_the_minute_wakes_a_worker_only_for_what_is_due(monkeypatch):
    woken: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda path, *args, **options: woken.append(path))
    tasks.tick()
    assert woken == []
    make_integration()
    tasks.tick()
    assert woken == [tasks.TASK]


def test_the_schedule_names_a_function_that_there_is():
    from django.utils.module_loading import import_string

    paths = [schedule.path for schedule in schedules.schedules()]
    assert "integrations.health.tasks.tick" in paths
    assert import_string("integrations.health.tasks.tick") is tasks.tick
    assert import_string(tasks.TASK) is tasks.check_due


@pytest.mark.django_db(transaction=True)
def test_a_task_makes_all_that_is_due_and_gives_its_slot_back():
    rows = [make_integration(str(number)) for number in range(20)]
    assert tasks.check_due() == 20
    assert sorted(StubChecker.asked) == sorted(row.pk for row in rows)
    assert HealthSample.objects.count() == 20
    assert not Slot.objects.filter(holder__isnull=False).exists()
    assert not Worker.objects.filter(kind=tasks.WORKER_KIND).exists()
    assert tasks.check_due() == 0


@pytest.mark.django_db(transaction=True)
def test_a_task_without_a_free_slot_leaves_the_checks_to_those_who_hold_them(monkeypatch, settings):
    settings.WORKERS = 2
    woken: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda path, *args, **options: woken.append(path))
    make_integration()
    with tasks.heartbeat("other") as other:
        assert tasks.leases.take_slot(tasks.leases.places(tasks.WORKER_KIND), other)
        assert tasks.check_due() == 0
    assert (StubChecker.asked, woken) == ([], [])
    assert tasks.check_due() == 1


@pytest.mark.django_db(transaction=True)
def test_a_task_hands_on_what_it_does_not_finish(monkeypatch):
    woken: list[str] = []
    monkeypatch.setattr(queue, "enqueue", lambda path, *args, **options: woken.append(path))
    monkeypatch.setattr(tasks, "CLAIM_SECONDS", 0.0)
    make_integration()
    assert tasks.check_due() == 0
    assert woken == [tasks.TASK]


@pytest.mark.django_db(transaction=True)
def test_hanging_checks_are_bounded_and_leave_nothing_behind(monkeypatch):
    monkeypatch.setattr(tasks, "CHECKS_AT_ONCE", 3)
    release, under_way, most, lock = threading.Event(), 0, 0, threading.Lock()

    def hang(connector):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        release.wait(60)
        with lock:
            under_way -= 1

    answers(monkeypatch, hang)
    for number in range(9):
        make_integration(str(number))
    now = [0.0]
    monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: now[0]))  # a busy machine may take any time to begin
    task = threading.Thread(target=lambda: (tasks.run_checks(0.3), connection.close()))
    task.start()
    wait_until(lambda: len(StubChecker.asked) == 3)
    assert IntegrationHealth.objects.filter(lease_token__isnull=False).count() == 3
    now[0] = 0.3
    release.set()
    task.join(30)
    assert not task.is_alive()
    assert (most, len(StubChecker.asked), HealthSample.objects.count()) == (3, 3, 3)
    assert IntegrationHealth.objects.filter(lease_token__isnull=False).count() == 0


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_make_each_check_once_and_say_everything_once(monkeypatch):
    rows = [make_integration(str(number)) for number in range(10)]
    answers(monkeypatch, raising(OutboundError("down", code="connect")))
    for _ in range(3):
        make_due()
        workers = [threading.Thread(target=lambda: (tasks.run_checks(5), connection.close())) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
    assert len(StubChecker.asked) == HealthSample.objects.count() == 30
    assert Event.objects.filter(type="integration.unhealthy").count() == len(rows)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_the_other_side_is_asked(monkeypatch):
    open_ones: list[bool] = []
    answers(monkeypatch, lambda connector: open_ones.append(connection.in_atomic_block))
    make_integration()
    tasks.run_checks(5)
    assert open_ones == [False]
