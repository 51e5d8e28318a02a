"""Quota and rate per integration."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from core.http import limits
from core.http.door import QuotaUsedUp
from core.models import QuotaUsage, RequestLog
from tests.core.door_stub import door, http, serving

pytestmark = [pytest.mark.django_db, pytest.mark.postgres]
HERE = uuid.UUID(int=7)
NOON = datetime(2026, 3, 1, 12, 0, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock(settings, monkeypatch):
    """Return the present time of the limits, in a list to be changed."""
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    now = [NOON]
    monkeypatch.setattr("core.http.limits.timezone.now", lambda: now[0])
    return now


@pytest.fixture
def service():
    with serving() as running:
        yield running


def test_the_quota_is_exact_and_says_when_it_begins_anew(service, clock):
    for _ in range(3):
        door(quota_limit=3).request("GET", service.url)
    with pytest.raises(QuotaUsedUp, match="3 times in 3600 s") as used_up:
        door(quota_limit=3).request("GET", service.url)
    assert used_up.value.retry_after == 3600 - 20
    assert len(service.requests) == 3
    row = RequestLog.objects.order_by("id").last()
    assert (row.outcome, row.error_class, row.retry_after, row.status_code) == ("refused", "quota_used_up", 3580.0, None)
    clock[0] += timedelta(hours=1)
    assert door(quota_limit=3).request("GET", service.url).status == 200


def test_the_rate_is_by_the_minute(service, clock):
    for _ in range(2):
        door(rate_per_minute=2).request("GET", service.url)
    with pytest.raises(QuotaUsedUp, match="2 times a minute") as used_up:
        door(rate_per_minute=2).request("GET", service.url)
    assert used_up.value.retry_after == 40
    clock[0] += timedelta(seconds=40)
    assert door(rate_per_minute=2).request("GET", service.url).status == 200


def test_a_short_wait_for_the_next_window_is_slept_through(service, clock, monkeypatch):
    clock[0] = NOON + timedelta(seconds=38)

    def sleep(seconds):
        clock[0] += timedelta(seconds=seconds)

    monkeypatch.setattr("core.http.client.sleep", sleep)
    door(rate_per_minute=1).request("GET", service.url)
    assert door(rate_per_minute=1, longest_wait=5.0).request("GET", service.url).status == 200


def test_every_try_counts(service):
    service.says(http(500))
    with pytest.raises(QuotaUsedUp):
        door(quota_limit=2, attempts=5).request("GET", service.url)
    assert len(service.requests) == 2


def test_a_refusal_by_the_quota_does_not_use_up_the_rate(service, clock):
    terms = {"rate_per_minute": 10, "quota_limit": 1}
    door(**terms).request("GET", service.url)
    for _ in range(3):
        with pytest.raises(QuotaUsedUp):
            door(**terms).request("GET", service.url)
    assert [(use.window_seconds, use.used) for use in limits.usage(HERE)] == [(60, 1), (3600, 1)]


def test_each_integration_has_its_own(service):
    door(quota_limit=1).request("GET", service.url)
    assert door(quota_limit=1, integration_id=uuid.UUID(int=8)).request("GET", service.url).status == 200


def test_a_quota_of_nothing_lets_nothing_through(service):
    with pytest.raises(QuotaUsedUp):
        door(quota_limit=0).request("GET", service.url)
    assert service.connections == 0
    assert not QuotaUsage.objects.exists()


def test_without_limits_nothing_is_counted(service):
    door().request("GET", service.url)
    assert not QuotaUsage.objects.exists()


def test_a_quota_by_the_minute_and_a_rate_are_one_limit(service):
    terms = {"rate_per_minute": 5, "quota_limit": 2, "quota_window_seconds": 60}
    for _ in range(2):
        door(**terms).request("GET", service.url)
    with pytest.raises(QuotaUsedUp, match="2 times a minute"):
        door(**terms).request("GET", service.url)
    assert [(use.window_seconds, use.used, use.limit) for use in limits.usage(HERE)] == [(60, 2, 2)]


def test_a_changed_limit_counts_at_once(service):
    door(quota_limit=1).request("GET", service.url)
    door(quota_limit=2).request("GET", service.url)
    with pytest.raises(QuotaUsedUp):
        door(quota_limit=1).request("GET", service.url)


def test_usage_shows_the_present_windows(service, clock, django_assert_num_queries):
    door(quota_limit=5, rate_per_minute=9).request("GET", service.url)
    clock[0] += timedelta(seconds=60)
    door(quota_limit=5, rate_per_minute=9).request("GET", service.url)
    with django_assert_num_queries(1):
        minute, hour = limits.usage(HERE)
    assert (minute.used, minute.limit, minute.remaining, minute.window_seconds) == (1, 9, 8, 60)
    assert (hour.used, hour.limit, hour.remaining) == (2, 5, 3)
    assert hour.resets_at == datetime(2026, 3, 1, 13, 0, tzinfo=UTC)
    clock[0] += timedelta(hours=1)
    assert limits.usage(HERE) == []


def test_windows_begin_at_full_multiples():
    moment = datetime(2026, 3, 1, 12, 34, 56, 789, tzinfo=UTC)
    assert limits.window_start(moment, 60) == datetime(2026, 3, 1, 12, 34, tzinfo=UTC)
    assert limits.window_start(moment, 86_400) == datetime(2026, 3, 1, tzinfo=UTC)
