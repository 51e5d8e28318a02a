"""One scheduled check: ask, and record what came of it. No transaction is open while the other system is asked."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.utils import timezone

from core.errors import RepoGuardError
from core.fields import DecryptError
from core.http.door import QuotaUsedUp
from integrations.checking import CheckReport, run_check
from integrations.health.record import SCHEDULE, postpone, record_check
from integrations.models import Integration

_NOT_ASKED = frozenset({"circuit_open"})


def check_and_record(integration: Integration, token: uuid.UUID) -> CheckReport | None:
    """Check an integration under a lease and record it; None where nothing was asked, because its own quota is used up."""
    report = _report(integration)
    if report.error_class == QuotaUsedUp.code:
        # it says nothing about the other side, so it is neither a success nor a failure
        postpone(integration, token, report.retry_after or 0.0)
        return None
    response_ms = None if report.error_class in _NOT_ASKED or report.measured is None else report.duration_ms
    error = "" if report.ok else report.message
    if record_check(integration, report.measured, response_ms, report.error_class, error, SCHEDULE, token=token):
        learn_expiry(integration, report.credentials_expire_at)
    return report


def learn_expiry(integration: Integration, expires_at: datetime | None) -> None:
    """Keep when the credentials end, as the service said it, unless they were changed meanwhile."""
    if expires_at is None or expires_at == integration.credentials_expire_at:
        return
    rows = Integration.objects.filter(pk=integration.pk, credentials_changed_at=integration.credentials_changed_at)
    rows.update(credentials_expire_at=expires_at)


def _report(integration: Integration) -> CheckReport:
    """Return the report of the check; that it can't even be made is one, too."""
    try:
        return run_check(integration)
    except DecryptError as error:
        return CheckReport(False, str(error), timezone.now(), 0.0, error_class="unreadable_secret")
    except RepoGuardError as error:
        return CheckReport(False, error.message, timezone.now(), 0.0, error_class=error.code[:30])
