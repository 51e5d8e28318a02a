"""Reading integrations. Nothing here decrypts a credential, but to say which are set."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import BinaryField, Case, ExpressionWrapper, F, OuterRef, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from access.selectors import with_owner
from core.errors import InvalidInput
from core.fields import DecryptError
from core.http import limits
from core.models import Circuit, QuotaUsage, RequestLog
from core.models.outbound import CircuitState
from integrations.choices import HealthState
from integrations.contract.fields import Field
from integrations.models import Integration
from integrations.registry import find


@dataclass(frozen=True)
class Window:
    """Calls in a window; without a limit nothing is counted, and `remaining` is None."""

    limit: int | None
    window_seconds: int
    used: int
    window_start: datetime

    @property
    def remaining(self) -> int | None:
        """Return how many calls are left."""
        return None if self.limit is None else max(0, self.limit - self.used)

    @property
    def resets_at(self) -> datetime:
        """Return when the next window begins."""
        return self.window_start + timedelta(seconds=self.window_seconds)


@dataclass(frozen=True)
class QuotaState:
    """The two limits of an integration: its quota, and its rate per minute."""

    quota: Window
    rate: Window


def all_integrations() -> QuerySet[Integration]:
    """Return every integration with owner, health and breaker, without its credentials, for the API and the admin to scope.

    `shown_health` is the state of its health, but unhealthy while the breaker is not closed: calls fail, whatever checks say.
    """
    circuit = Circuit.objects.filter(integration_id=OuterRef("pk")).values("state")[:1]
    rows = with_owner(Integration.objects.defer("credentials", "previous_credentials")).select_related("health")
    rows = rows.annotate(circuit_state=Coalesce(Subquery(circuit), Value(CircuitState.CLOSED.value)))
    closed = When(circuit_state=CircuitState.CLOSED, then=Coalesce(F("health__state"), Value(HealthState.UNKNOWN.value)))
    return rows.annotate(shown_health=Case(closed, default=Value(HealthState.UNHEALTHY.value)))


def listed_integrations() -> QuerySet[Integration]:
    """Return shown_integrations() with their last call and what is used of their quota, for lists: still one statement."""
    calls = RequestLog.objects.filter(integration_id=OuterRef("pk")).order_by("-id")
    used = QuotaUsage.objects.filter(integration_id=OuterRef("pk"), window_seconds=OuterRef("quota_window_seconds"))
    used = used.order_by("-window_start")
    return shown_integrations().annotate(
        last_call_at=Subquery(calls.values("started_at")[:1]),
        last_call_outcome=Subquery(calls.values("outcome")[:1]),
        quota_used=Subquery(used.values("used")[:1]),
        quota_window_start=Subquery(used.values("window_start")[:1]),
    )


def shown_integrations() -> QuerySet[Integration]:
    """Return all_integrations() with what credentials_set() reads: one row that can't be decrypted must not hide the others."""
    return all_integrations().annotate(sealed=ExpressionWrapper(F("credentials"), output_field=BinaryField()))


def credentials_set(integration: Integration) -> dict[str, bool] | None:
    """Return which secret fields of one of shown_integrations() are set; None where FERNET_KEYS lacks their key."""
    field: Any = Integration._meta.get_field("credentials")
    try:
        stored = field.from_db_value(integration.sealed, None, connection) or {}  # type: ignore[attr-defined]
    except DecryptError:
        return None
    names = [declared.name for declared in _declared(integration.type) if declared.secret and declared.applies(integration.config)]
    return {name: bool(stored.get(name)) for name in [*names, *(name for name in stored if name not in names)]}


def requests_of(integration_id: uuid.UUID) -> QuerySet[RequestLog]:
    """Return the calls of an integration."""
    return RequestLog.objects.filter(integration_id=integration_id)


def quota_of(integration: Integration) -> QuotaState:
    """Return how much of its limits an integration has used in the present windows: one statement."""
    now, seconds = timezone.now(), integration.quota_window_seconds
    used = {usage.window_seconds: usage.used for usage in limits.usage(integration.id, now)}
    start, minute = limits.window_start(now, seconds), limits.window_start(now, limits.MINUTE)
    quota = Window(integration.quota_limit, seconds, used.get(seconds, 0) if integration.quota_limit else 0, start)
    rate = Window(integration.rate_per_minute, limits.MINUTE, used.get(limits.MINUTE, 0) if integration.rate_per_minute else 0, minute)
    return QuotaState(quota, rate)


def _declared(type: str) -> tuple[Field, ...]:
    try:
        return find(type).fields
    except InvalidInput:  # its connector was removed
        return ()
