from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import runtime
from core.http.limits import window_start
from core.models import Event, QuotaUsage, RuntimeSettings
from integrations.health import announce, notices
from integrations.health.notices import expiry_steps, step_of, warn_of_expiry, warn_of_quotas
from integrations.models import Integration
from tests.factories import owner_of
from tests.integrations.health_kit import health_of, make_integration, stub  # noqa: F401

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def _use(row: Integration, used: int, back: int = 0, **values) -> None:
    seconds = row.quota_window_seconds
    start = window_start(timezone.now(), seconds) - back * timedelta(seconds=seconds)
    given = {"integration_id": row.id, "window_seconds": seconds, "window_start": start, "used": used, "limit": row.quota_limit} | values
    QuotaUsage.objects.update_or_create(
        integration_id=row.id,
        window_seconds=given["window_seconds"],
        window_start=given["window_start"],
        defaults={k: given[k] for k in ("used", "limit")},
    )


def _warnings(name: str) -> list[dict]:
    return [event.payload for event in Event.objects.filter(type=f"integration.{name}").order_by("id")]


def test_a_quota_is_warned_about_once_per_window(alice):
    row = make_integration(quota_limit=100, owner=owner_of(alice))
    _use(row, 79)
    assert warn_of_quotas() == 0
    _use(row, 80)
    assert [warn_of_quotas(), warn_of_quotas()] == [1, 0]
    _use(row, 100)
    assert warn_of_quotas() == 0
    (data,) = _warnings("quota_warning")
    assert (data["used"], data["limit"], data["window"]) == (80, 100, "hour")
    assert Event.objects.get().owner_id == row.owner_id


def test_the_next_window_is_warned_about_again():
    row = make_integration(quota_limit=100)
    _use(row, 90)
    warn_of_quotas()
    later = timezone.now() + timedelta(hours=1)
    QuotaUsage.objects.create(integration_id=row.id, window_seconds=3600, window_start=window_start(later, 3600), used=95, limit=100)
    assert warn_of_quotas(later) == 1


def test_other_windows_and_inactive_integrations_are_left_out():
    _use(make_integration(quota_limit=100), 100, back=1)
    _use(make_integration(quota_limit=100, status="inactive"), 100)
    unlimited = make_integration()
    QuotaUsage.objects.create(
        integration_id=unlimited.id, window_seconds=3600, window_start=window_start(timezone.now(), 3600), used=9, limit=0
    )
    assert warn_of_quotas() == 0


@pytest.mark.parametrize("order", ["window_seconds", "-window_seconds"])
def test_a_row_of_the_rate_hides_no_quota(order, monkeypatch):
    monkeypatch.setattr(QuotaUsage._meta, "ordering", [order])
    _use(make_integration(quota_limit=100, quota_window_seconds=60), 1)
    row = make_integration(quota_limit=10, rate_per_minute=10)
    _use(row, 10)
    _use(row, 10, window_seconds=60, window_start=window_start(timezone.now(), 60))
    assert warn_of_quotas() == 1
    assert [data["window"] for data in _warnings("quota_warning")] == ["hour"]


def test_a_full_rate_is_no_full_quota():
    _use(make_integration(quota_limit=100, quota_window_seconds=60), 1)
    _use(
        make_integration(quota_limit=100, rate_per_minute=10),
        10,
        window_seconds=60,
        window_start=window_start(timezone.now(), 60),
        limit=10,
    )
    assert warn_of_quotas() == 0


def test_those_warned_of_leave_room_for_the_others(monkeypatch):
    monkeypatch.setattr(notices, "_AT_ONCE", 2)
    for _ in range(5):
        _use(make_integration(quota_limit=100), 90)
    assert [warn_of_quotas() for _ in range(4)] == [2, 2, 1, 0]


def test_the_share_is_that_of_the_settings():
    RuntimeSettings.objects.create(pk=1, quota_warning_percent=50)
    runtime.forget()
    row = make_integration(quota_limit=10, quota_window_seconds=86_400)
    _use(row, 5)
    assert warn_of_quotas() == 1
    assert _warnings("quota_warning")[0]["window"] == "day"


@pytest.mark.parametrize(("first", "steps"), [(14, [1, 3, 7, 14]), (7, [1, 3, 7]), (5, [1, 3, 5]), (1, [1]), (365, [1, 3, 7, 365])])
def test_it_is_warned_at_the_days_of_the_settings_and_at_the_last_ones(first, steps):
    assert expiry_steps(first) == steps


def test_each_step_before_the_end_is_warned_about_once():
    ends = timezone.now() + 20 * DAY
    row = make_integration(credentials_expire_at=ends)
    said = [ends - left for left in (15 * DAY, 14 * DAY, 13 * DAY, 7 * DAY, 6.9 * DAY, 3 * DAY, 1 * DAY, 0.5 * DAY, -1 * DAY, -9 * DAY)]
    assert [warn_of_expiry(now) for now in said] == [0, 1, 0, 1, 0, 1, 1, 0, 0, 0]
    assert [data["days_left"] for data in _warnings("credentials_expiring")] == [14, 7, 3, 1]
    assert health_of(row).expiry_warned_days == 1


def test_a_portal_that_was_away_warns_of_the_present_step_only():
    ends = timezone.now() + 2 * DAY
    make_integration(credentials_expire_at=ends)
    assert warn_of_expiry() == 1
    assert step_of(ends, timezone.now(), [1, 3, 7, 14]) == 3


def test_credentials_that_have_ended_are_said_once():
    make_integration(credentials_expire_at=timezone.now() - DAY)
    assert [warn_of_expiry(), warn_of_expiry()] == [1, 0]
    assert "have ended" in _warnings("credentials_expiring")[0]["reason"]


def test_new_credentials_start_anew():
    row = make_integration(credentials_expire_at=timezone.now() + DAY / 2)
    warn_of_expiry()
    Integration.objects.filter(pk=row.pk).update(credentials_expire_at=timezone.now() + 10 * DAY)
    assert [warn_of_expiry(), warn_of_expiry()] == [1, 0]


def test_a_warning_and_its_mark_are_stored_together(monkeypatch):
    make_integration(credentials_expire_at=timezone.now() + DAY / 2)
    monkeypatch.setattr("core.bus.publish_all", lambda said: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        warn_of_expiry()
    monkeypatch.undo()
    assert warn_of_expiry() == 1


def test_looking_costs_the_same_however_many_integrations_there_are():
    counts = []
    for number in (1, 10):
        for _ in range(number):
            _use(make_integration(quota_limit=100, credentials_expire_at=timezone.now() + 90 * DAY), 1)
        runtime.current()
        with CaptureQueriesContext(connection) as queries:
            assert warn_of_quotas() + warn_of_expiry() == 0
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("seconds", "text"), [(60, "minute"), (3600, "hour"), (86_400, "day"), (7 * 86_400, "7 days"), (90, "90 seconds")])
def test_lengths_of_windows_are_said_in_words(seconds, text):
    assert announce.words(seconds) == text
