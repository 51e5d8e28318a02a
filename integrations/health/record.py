"""Recording a check: the sample, the new state and what is said about the change, all in one transaction."""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from core import bus, redact, runtime
from core.models import Circuit
from core.models.outbound import CircuitState
from core.texts import storable
from integrations.choices import Criticality, HealthState, Status
from integrations.health import announce
from integrations.health.states import MOST_LOOKED_AT, Seen, next_state
from integrations.models import HealthSample, Integration, IntegrationHealth

SCHEDULE, MANUAL = "schedule", "manual"
_LONGEST_ERROR = 500
_CHANGED = ("state", "since", "consecutive_failures", "failing_since", "last_success_at", "last_error", "not_measured")
_SAMPLES_READ = 50
# up to this share of the interval earlier: checks that began together drift apart, and none comes later than it should
_SPREAD = 0.15


def record_check(
    integration: Integration,
    ok: bool | None,
    response_ms: float | None,
    error_class: str = "",
    error: str = "",
    trigger: str = SCHEDULE,
    *,
    token: uuid.UUID | None = None,
) -> HealthState | None:
    """Store a check of an integration, change its state and publish what follows; return the state.

    `ok` is None for what was not measured, by a fault of the portal's own: it is kept and shown, counts neither as a check nor as a
    failure, and leaves the state. `error` is a sentence, "" for success. With a `token` it is recorded only while the lease of that
    token stands, and then the lease ends and the next check is set; None says that it does not, or that the integration is gone:
    nothing was recorded. A check of an inactive integration (a person tries it out) is stored, but changes no state.
    """
    with transaction.atomic():
        health = _locked(integration, token)
        if health is None:
            return None
        now = timezone.now()
        sentence = storable(redact.text(error))[:_LONGEST_ERROR]
        health.not_measured = sentence if ok is None else ""
        if ok is not None and integration.status == Status.ACTIVE:
            _change(health, integration, Seen(ok, response_ms), sentence, now)
        HealthSample.objects.create(
            integration=integration,
            checked_at=now,
            ok=ok,
            response_ms=response_ms,
            error_class=error_class[:30],
            error=sentence,
            trigger=trigger,
        )
        changes: dict[str, Any] = {"last_checked_at": now}
        if token:
            changes |= {"next_check_at": next_check(integration, now), "lease_token": None, "lease_until": None}
        IntegrationHealth.objects.filter(pk=health.pk).update(**{name: getattr(health, name) for name in _CHANGED}, **changes)
    return HealthState(health.state)


def postpone(integration: Integration, token: uuid.UUID, seconds: float) -> bool:
    """End a lease without a sample, because nothing was asked (a used-up quota): the next check is in `seconds`, or its usual time."""
    now = timezone.now()
    again = min(now + timedelta(seconds=max(seconds, 1.0)), next_check(integration, now))
    held = IntegrationHealth.objects.filter(pk=integration.pk, lease_token=token)
    return held.update(next_check_at=again, lease_token=None, lease_until=None) == 1


def enroll(*integrations: Integration) -> None:
    """Give integrations their health rows, with the first check within a minute; those that have one keep it."""
    now = timezone.now()
    rows = [IntegrationHealth(integration=row, next_check_at=now + timedelta(seconds=random.uniform(0, 60))) for row in integrations]  # noqa: S311 - spreads checks
    IntegrationHealth.objects.bulk_create(rows, ignore_conflicts=True)


def interval_of(criticality: str) -> timedelta:
    """Return how often an integration of this criticality is checked."""
    settings = runtime.current()
    minutes = {
        Criticality.CRITICAL.value: settings.check_minutes_critical,
        Criticality.IMPORTANT.value: settings.check_minutes_important,
        Criticality.OPTIONAL.value: settings.check_minutes_optional,
    }
    return timedelta(minutes=minutes[criticality])


def next_check(integration: Integration, now: datetime) -> datetime:
    """Return when the check after one of `now` is due: an interval later, or somewhat before that."""
    return now + interval_of(integration.criticality) * random.uniform(1 - _SPREAD, 1)  # noqa: S311 - spreads checks


def _locked(integration: Integration, token: uuid.UUID | None) -> IntegrationHealth | None:
    if token is None:
        if not Integration.objects.filter(pk=integration.pk).exists():
            return None
        enroll(integration)
    rows = IntegrationHealth.objects.select_for_update().filter(pk=integration.pk)
    return (rows.filter(lease_token=token) if token else rows).first()


def _before(integration: Integration) -> list[Seen]:
    """Return the checks before this one that measured something, newest first, of the newest few: a long fault is no reason to search."""
    newest = HealthSample.objects.filter(integration=integration).order_by("-id").values_list("ok", "response_ms")[:_SAMPLES_READ]
    return [Seen(ok, response_ms) for ok, response_ms in newest if ok is not None][: MOST_LOOKED_AT - 1]


def _change(health: IntegrationHealth, integration: Integration, seen: Seen, error: str, now: datetime) -> None:
    """Put the new state into `health`, and publish an event where it became or ceased to be unhealthy."""
    history = [seen, *_before(integration)]
    broken = not seen.ok and Circuit.objects.filter(integration_id=integration.id).exclude(state=CircuitState.CLOSED).exists()
    old, new = health.state, next_state(health.state, history, breaker_open=broken, target_ms=integration.sla_response_ms)
    if seen.ok:
        health.consecutive_failures, health.last_success_at = 0, now
    else:
        health.consecutive_failures += 1
        health.failing_since, health.last_error = health.failing_since or now, error
    if new != old:
        health.state, health.since = new, now
    if HealthState.UNHEALTHY in (new, old) and new != old:
        down = new == HealthState.UNHEALTHY
        bus.publish_all([announce.unhealthy(integration, health) if down else announce.recovered(integration, health, now)])
    if seen.ok and new != HealthState.UNHEALTHY:
        health.failing_since, health.last_error = None, ""
