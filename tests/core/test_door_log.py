"""The log of outbound calls over time: it is pruned, and counted for /metrics."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from core import housekeeping, metrics
from core.http import calllog
from core.http.door import BadAnswer
from core.ids import first_id_at
from core.models import CachedAnswer, QuotaUsage, RequestLog, RuntimeSettings
from core.models.outbound import CallPurpose
from tests.core.door_stub import door, http, serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def service(settings):
    settings.EGRESS_ALLOW_CIDRS = ["127.0.0.1/32"]
    with serving() as running:
        yield running


def prune(name, **options):
    return housekeeping.run_now(housekeeping.find(name), **options)


def test_every_try_is_counted_by_outcome_and_purpose(service):
    service.says(http(500), http(200))
    with pytest.raises(BadAnswer):
        door(purpose=CallPurpose.SCAN).request("GET", service.url)
    door(purpose=CallPurpose.SCAN).request("GET", service.url)
    totals = {(name, labels): value for name, labels, value in metrics.totals()}
    assert totals[calllog.CALLS, metrics.labels(outcome="unexpected", purpose="scan")] == 1
    assert totals[calllog.CALLS, metrics.labels(outcome="success", purpose="scan")] == 1
    assert sum(value for (name, _), value in totals.items() if name == f"{calllog.DURATION}_bucket") == 2


def test_the_row_and_its_count_are_one(service, monkeypatch):
    monkeypatch.setattr("core.http.calllog.metrics.add", lambda counts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        door().request("GET", service.url)
    assert not RequestLog.objects.exists()


def test_the_statements_of_a_call_are_few(service, django_assert_max_num_queries):
    from django.conf import settings

    own_file = 0 if "sqlite" in settings.DATABASES["default"]["ENGINE"] else 1  # the counters
    with django_assert_max_num_queries(6 + own_file):  # kept answer, breaker, savepoint, row, count, release
        door().request("GET", service.url)


def test_the_log_is_kept_for_its_time():
    RuntimeSettings.objects.update_or_create(pk=1, defaults={"request_log_retention_days": 10})
    from core import runtime

    runtime.forget()
    for days in (9, 11):
        moment = timezone.now() - timedelta(days=days)
        RequestLog.objects.create(id=first_id_at(moment), method="GET", url="https://example.com/", outcome="success", started_at=moment)
    assert prune("core.request_log", dry_run=True) == 1
    assert prune("core.request_log") == 1
    assert RequestLog.objects.get().started_at > timezone.now() - timedelta(days=10)
    runtime.forget()


def test_kept_answers_go_when_they_expire():
    now = timezone.now()
    for key, expires_at in (("old", now - timedelta(seconds=1)), ("kept", now + timedelta(hours=1))):
        CachedAnswer.objects.create(key=key, integration_id=uuid.uuid4(), status_code=200, body="", stored_at=now, expires_at=expires_at)
    assert prune("core.cached_answers", dry_run=True) == 1
    assert prune("core.cached_answers") == 1
    assert CachedAnswer.objects.get().key == "kept"


def test_old_windows_go_in_batches_and_long_ones_stay(monkeypatch):
    now, here = timezone.now(), uuid.uuid4()
    ages = [(100, 3600), (99, 86_400 * 366), *[(98 - number, 3600) for number in range(5)], (1, 3600)]
    for days, seconds in ages:
        QuotaUsage.objects.create(integration_id=here, window_start=now - timedelta(days=days), window_seconds=seconds, used=1)
    job = housekeeping.find("core.quota_usage")
    rows, cursor = 0, ""
    while True:
        step = job.run(housekeeping.Batch(limit=3, cursor=cursor))
        rows, cursor = rows + step.rows, step.cursor
        if not cursor:
            break
    assert rows == 6
    assert sorted(QuotaUsage.objects.values_list("window_seconds", flat=True)) == [3600, 86_400 * 366]
