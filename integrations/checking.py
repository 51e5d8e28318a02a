"""Trying an integration out: one check, with what it found as a sentence. Nothing is stored, and no transaction may be open."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

from django.utils import timezone

from core.errors import Conflict, RepoGuardError
from core.fields import DecryptError
from core.http.client import CallInTransaction
from core.http.web_calls import web_place
from core.logs import fault_place
from core.models.outbound import CallPurpose
from integrations.calls import build_connector
from integrations.contract.connector import Checker
from integrations.models import Integration
from integrations.registry import find

logger = logging.getLogger(__name__)
_LONGEST_SENTENCE = 500
# what went wrong before the service was asked, or in the portal itself: it says nothing about the service
PORTAL_FAULTS = frozenset({"unreadable_secret", "internal", "unavailable"})


@dataclass(frozen=True)
class CheckReport:
    """What a connection test found: `message` says it in a sentence, `details` hold such as the account, never a secret."""

    ok: bool
    message: str
    checked_at: datetime
    duration_ms: float
    error_class: str = ""
    retry_after: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    credentials_expire_at: datetime | None = None

    @property
    def measured(self) -> bool | None:
        """Return what it says of the service: that it works or does not, or None where the portal itself was at fault."""
        return None if self.error_class in PORTAL_FAULTS else self.ok


def can_check(integration: Integration) -> bool:
    """Say whether the connector of an integration can test its connection."""
    return issubclass(find(integration.type), Checker)


def run_check(integration: Integration, *, trial: bool = False) -> CheckReport:
    """Test the connection, also of an inactive integration or of one that is not stored; takes up to its timeout.

    On `trial`, for a person who tries it out and waits, the breaker has no say and learns nothing. A failed test is a report, not
    an error. Raises Conflict (code not_checkable) where the connector has no test, and on `trial` Unavailable where this process
    waits for as many answers as it may.
    """
    connector = find(integration.type)
    if not issubclass(connector, Checker):
        raise Conflict(f"{connector.title} integrations can't be tested: their connector makes no test call.", code="not_checkable")
    with web_place() if trial else nullcontext():
        return _checked(integration, connector, trial=trial)


def _checked(integration: Integration, connector: type[Checker], *, trial: bool) -> CheckReport:
    checked_at, started = timezone.now(), time.monotonic()
    try:
        result = cast("Checker", build_connector(integration, CallPurpose.CHECK, trial=trial)).check()
    except RepoGuardError as error:
        message, code = error.message[:_LONGEST_SENTENCE], error.code[:30]
        return CheckReport(False, message, checked_at, _since(started), error_class=code, retry_after=error.retry_after)
    except DecryptError as error:
        return CheckReport(False, str(error), checked_at, _since(started), error_class="unreadable_secret")
    except CallInTransaction:  # the caller's mistake, not the connector's
        raise
    except Exception as error:  # a fault of one connector must not stop the checks of the others, nor show what it worked with
        logger.error("connector_fault", extra={"connector": connector.key, "fault": type(error).__name__, "place": fault_place(error)})
        message = f"The {connector.title} connector failed by itself ({type(error).__name__}); the portal's log names the place."
        return CheckReport(False, message, checked_at, _since(started), error_class="internal")
    details, expiry = dict(result.details), result.credentials_expire_at
    return CheckReport(True, result.message, checked_at, _since(started), details=details, credentials_expire_at=expiry)


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 1)
