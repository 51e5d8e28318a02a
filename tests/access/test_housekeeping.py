from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from axes.models import AccessAttempt, AccessAttemptExpiration, AccessLog
from django.utils import timezone

from access import housekeeping as jobs
from access.choices import AuditVerb
from access.models import ApiKey, ApiUsage, AuditEntry
from core import housekeeping, runtime
from core.housekeeping import Batch
from core.ids import first_id_at
from core.models import RuntimeSettings

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def retention():
    RuntimeSettings.objects.create(pk=1, audit_retention_days=100, usage_retention_days=10)
    runtime.forget()
    yield
    runtime.forget()


def _run(name: str, **options) -> int:
    return housekeeping.run_now(housekeeping.find(name), **options)


def test_audit_entries_go_after_their_time():
    for days in (101, 99):
        identity = uuid.UUID(int=first_id_at(timezone.now() - days * DAY).int + uuid.uuid4().int % (1 << 60))
        AuditEntry.objects.create(id=identity, actor_kind="user", actor="alice", verb=AuditVerb.CHANGED, object_type="x", object_id=days)
    assert _run("access.audit", dry_run=True) == 1
    assert _run("access.audit") == 1
    assert AuditEntry.objects.get().object_id == "99"


def test_usage_goes_after_its_time():
    key = ApiKey.objects.create(name="k", prefix="rg_x", key_hash="h")
    today = timezone.now().date()
    for days in (12, 11, 10, 0):
        ApiUsage.objects.create(key=key, day=today - days * DAY, route="GET /")
    assert _run("access.usage", dry_run=True) == 2
    assert _run("access.usage") == 2
    assert sorted(ApiUsage.objects.values_list("day", flat=True)) == [today - 10 * DAY, today]


def test_usage_is_deleted_in_batches():
    key = ApiKey.objects.create(name="k", prefix="rg_x", key_hash="h")
    ApiUsage.objects.bulk_create([ApiUsage(key=key, day=timezone.now().date() - 20 * DAY, route=f"GET /{n}") for n in range(3)])
    first = jobs.prune_usage(Batch(limit=2))
    assert (first.rows, ApiUsage.objects.count()) == (2, 1)
    assert jobs.prune_usage(Batch(limit=2, cursor=first.cursor)).rows == 1
    assert not ApiUsage.objects.exists()


def test_notes_of_the_login_guard_go_with_the_audit():
    for model in (AccessLog, AccessAttempt):
        for number, days in enumerate((101, 102, 99)):
            values = {"failures_since_start": 1} if model is AccessAttempt else {}
            row = model.objects.create(username=f"u{number}", ip_address="127.0.0.1", user_agent="x", **values)
            model.objects.filter(pk=row.pk).update(attempt_time=timezone.now() - days * DAY)
    AccessAttemptExpiration.objects.create(access_attempt=AccessAttempt.objects.first(), expires_at=timezone.now())
    assert _run("access.logins", dry_run=True) == 4
    assert jobs.prune_login_logs(Batch(limit=2)).cursor == "more"
    assert _run("access.logins") == 2
    assert (AccessLog.objects.count(), AccessAttempt.objects.count()) == (1, 1)
