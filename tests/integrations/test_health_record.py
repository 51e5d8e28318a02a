from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Circuit, Event
from integrations.choices import HealthState
from integrations.health.record import enroll, postpone, record_check
from integrations.models import HealthSample, Integration, IntegrationHealth
from tests.factories import owner_of
from tests.integrations.health_kit import health_of, make_integration, state_of, stub  # noqa: F401

pytestmark = pytest.mark.django_db
REFUSED = "401 Unauthorized: the token was refused."


def _ok(row: Integration, ms: float = 100.0, **more) -> HealthState | None:
    return record_check(row, True, ms, **more)


def _fail(row: Integration, error: str = REFUSED, **more) -> HealthState | None:
    return record_check(row, False, 50.0, "client_error", error, **more)


def _events(name: str) -> list[Event]:
    return list(Event.objects.filter(type=f"integration.{name}").order_by("id"))


def test_three_failures_say_once_that_it_is_unhealthy(alice):
    row = make_integration(owner=owner_of(alice))
    states = [_fail(row) for _ in range(5)]
    assert states == ["unknown", "unknown", "unhealthy", "unhealthy", "unhealthy"]
    (event,) = _events("unhealthy")
    assert event.owner_id == row.owner_id
    assert event.payload["integration_id"] == str(row.id)
    assert event.payload["provider"] == "stub"
    assert event.payload["reason"] == REFUSED
    assert HealthSample.objects.count() == 5
    health = health_of(row)
    assert health.consecutive_failures == 5
    assert event.payload["failing_since"] == health.failing_since.isoformat().replace("+00:00", "Z")


def test_two_successes_say_once_that_it_recovered():
    row = make_integration()
    for _ in range(3):
        _fail(row)
    IntegrationHealth.objects.update(failing_since=timezone.now() - timedelta(minutes=14))
    assert [_ok(row) for _ in range(4)] == ["unhealthy", "healthy", "healthy", "healthy"]
    (event,) = _events("recovered")
    assert 839 <= event.payload["failed_seconds"] <= 842
    health = health_of(row)
    assert (health.failing_since, health.last_error, health.consecutive_failures) == (None, "", 0)
    assert health.last_success_at


def test_each_time_of_failing_has_its_own_events():
    row = make_integration()
    for _ in range(2):
        for _ in range(3):
            _fail(row)
        for _ in range(2):
            _ok(row)
    assert [event.type.partition(".")[2] for event in Event.objects.order_by("id")] == ["unhealthy", "recovered"] * 2


def test_a_flapping_service_is_not_announced_again_and_again():
    row = make_integration()
    for _ in range(3):
        _fail(row)
    for _ in range(10):
        _ok(row)
        _fail(row)
    assert len(_events("unhealthy")) == 1
    assert not _events("recovered")


def test_an_open_breaker_makes_it_unhealthy_at_once():
    row = make_integration()
    _ok(row)
    Circuit.objects.create(integration_id=row.id, state="open")
    assert record_check(row, False, None, "circuit_open", "The breaker is open.") == "unhealthy"
    assert len(_events("unhealthy")) == 1


def test_slow_answers_degrade_it_without_an_event():
    row = make_integration(sla_response_ms=200)
    assert [_ok(row, 300) for _ in range(3)] == ["healthy", "healthy", "degraded"]
    assert [_ok(row, 100) for _ in range(2)] == ["degraded", "healthy"]
    assert not Event.objects.exists()


def test_the_check_of_an_inactive_integration_changes_no_state():
    row = make_integration(status="inactive")
    for _ in range(4):
        _fail(row, trigger="manual")
    assert state_of(row) == "unknown"
    assert HealthSample.objects.filter(trigger="manual").count() == 4
    assert not Event.objects.exists()


def test_a_lease_is_recorded_once():
    row, token = make_integration(), uuid.uuid4()
    IntegrationHealth.objects.update(lease_token=token, lease_until=timezone.now() + timedelta(minutes=1))
    assert _ok(row, token=token) == "healthy"
    assert _ok(row, token=token) is None
    assert HealthSample.objects.count() == 1
    health = health_of(row)
    assert health.lease_token is None
    assert timedelta(minutes=4) < health.next_check_at - timezone.now() <= timedelta(minutes=5)


def test_a_lease_that_passed_to_another_is_not_recorded():
    row = make_integration()
    IntegrationHealth.objects.update(lease_token=uuid.uuid4())
    assert _fail(row, token=uuid.uuid4()) is None
    assert not HealthSample.objects.exists()
    assert health_of(row).lease_token


def test_a_manual_check_leaves_the_lease_of_a_scheduled_one_alone():
    row, token = make_integration(), uuid.uuid4()
    IntegrationHealth.objects.update(lease_token=token)
    before = health_of(row).next_check_at
    _ok(row, trigger="manual")
    assert (health_of(row).lease_token, health_of(row).next_check_at) == (token, before)


def test_an_integration_that_was_deleted_meanwhile_is_left_alone():
    row, token = make_integration(), uuid.uuid4()
    Integration.objects.filter(pk=row.pk).delete()
    assert record_check(row, True, 1.0, token=token) is None


def test_what_was_not_asked_is_no_sample_and_is_asked_soon():
    row, token = make_integration(criticality="optional"), uuid.uuid4()
    IntegrationHealth.objects.update(lease_token=token)
    assert postpone(row, token, 90)
    assert not HealthSample.objects.exists()
    left = health_of(row).next_check_at - timezone.now()
    assert timedelta(seconds=80) < left <= timedelta(seconds=90)
    assert not postpone(row, token, 90)


def test_errors_lose_their_secrets_and_their_length():
    row = make_integration()
    _fail(row, "refused ghp_" + "a1B2" * 9 + " " + "x" * 900)
    sample = HealthSample.objects.get()
    assert "ghp_" not in sample.error
    assert len(sample.error) == 500
    assert health_of(row).last_error == sample.error


def test_errors_can_be_stored_whatever_the_service_said():
    row = make_integration()
    _fail(row, "It said \0 and \ud800.")
    assert HealthSample.objects.get().error == health_of(row).last_error == "It said \N{SYMBOL FOR NULL} and ?."


def test_enrolling_keeps_what_is_there():
    row = make_integration()
    IntegrationHealth.objects.update(state="healthy")
    enroll(row)
    assert state_of(row) == "healthy"


def test_recording_costs_the_same_however_many_checks_there_were():
    row, counts = make_integration(), []
    for rounds in (5, 30):
        for _ in range(rounds):
            _ok(row)
        with CaptureQueriesContext(connection) as queries:
            _ok(row)
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- Faults of the portal's own ---------------------------------------------------------------------------------------


def _unmeasured(row: Integration, **more) -> HealthState | None:
    return record_check(row, None, None, "unreadable_secret", "A stored secret can't be read.", **more)


def test_a_fault_of_the_portal_is_kept_and_changes_no_state():
    row = make_integration()
    _ok(row)
    before = health_of(row).last_success_at
    assert [_unmeasured(row) for _ in range(5)] == ["healthy"] * 5
    health = health_of(row)
    assert (health.consecutive_failures, health.failing_since, health.last_success_at, health.last_error) == (0, None, before, "")
    assert health.not_measured == "A stored secret can't be read."
    assert health.last_checked_at
    assert not Event.objects.exists()


def test_it_stands_between_failures_as_if_it_were_not_there():
    row = make_integration()
    _fail(row)
    _fail(row)
    for _ in range(3):
        _unmeasured(row)
    assert _fail(row) == "unhealthy"


def test_it_is_over_with_the_next_check_that_measures():
    row = make_integration()
    _unmeasured(row)
    _ok(row)
    assert health_of(row).not_measured == ""


def test_it_ends_its_lease():
    row, token = make_integration(), uuid.uuid4()
    IntegrationHealth.objects.update(lease_token=token, lease_until=timezone.now() + timedelta(minutes=1))
    assert _unmeasured(row, token=token) == "unknown"
    assert health_of(row).lease_token is None
    assert health_of(row).next_check_at > timezone.now()
