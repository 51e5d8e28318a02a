"""Reading health: one integration's days against its targets, and how many stand how."""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from access.principals import Principal
from access.selectors import visible
from core.ids import first_id_at
from core.models import Circuit
from core.models.outbound import CircuitState
from integrations.choices import Condition, Criticality, HealthState, Status
from integrations.health.claims import checked_types
from integrations.health.days import Budget, Day, day_of, start_of
from integrations.health.record import SCHEDULE
from integrations.health.states import condition_of
from integrations.models import HealthDay, HealthSample, Integration, IntegrationHealth

DEFAULT_DAYS, MOST_DAYS = 30, 366


@dataclass(frozen=True)
class Report:
    """How an integration stands, and its days, newest first; today's is as far as it has come."""

    integration: Integration
    health: IntegrationHealth
    today: Day
    past: list[Day]

    @property
    def since(self) -> datetime | None:
        """Return since when it is in this state; of a breaker, when that opened."""
        return since(self.health)

    @property
    def last_error(self) -> str:
        """Return what the last check, or else the last call, failed with; empty where neither did."""
        return str(self.health.last_error or getattr(self.health, "circuit_error", None) or "")

    @property
    def days(self) -> list[Day]:
        """Return all days, newest first."""
        return [self.today, *self.past]

    @property
    def total(self) -> Day:
        """Return the checks of all days together, without percentiles."""
        return Day(
            self.today.day,
            sum(day.checks for day in self.days),
            sum(day.failures for day in self.days),
            unmeasured=sum(day.unmeasured for day in self.days),
        )

    @property
    def budget(self) -> Budget | None:
        """Return what the availability target leaves of the errors it allows; None without a target or a check."""
        target, total = self.integration.sla_availability, self.total
        return Budget(target, total.checks, total.failures) if target is not None and total.checks else None

    @property
    def next_check_at(self) -> datetime | None:
        """Return when it is checked next; None where it is not."""
        return self.health.next_check_at if is_checked(self.integration) else None

    @property
    def is_due(self) -> bool:
        """Say whether the next check waits for a worker."""
        return self.next_check_at is not None and self.next_check_at <= timezone.now()


def report_of(integration: Integration, days: int = DEFAULT_DAYS, now: datetime | None = None) -> Report:
    """Return the health of an integration over today and the days before it: three statements."""
    today = (now or timezone.now()).date()
    health = with_circuit(IntegrationHealth.objects.filter(pk=integration.pk)).first() or IntegrationHealth(integration=integration)
    since = today - timedelta(days=days - 1)
    rows = HealthDay.objects.filter(integration=integration, day__gte=since, day__lt=today).order_by("-day")
    past = [Day(row.day, row.checks, row.failures, row.p50_ms, row.p95_ms, row.p99_ms, row.unmeasured) for row in rows]
    yesterday = today - timedelta(days=1)
    waits = days > 1 and not (past and past[0].day == yesterday)  # its summary comes within the hour
    pairs = list(_samples(integration.id, yesterday if waits else today).values_list("id", "ok", "response_ms"))
    first = first_id_at(start_of(today))
    summary = day_of(yesterday, ((ok, ms) for id, ok, ms in pairs if id < first))
    if waits and (summary.checks or summary.unmeasured):
        past = [summary, *past]
    return Report(integration, health, day_of(today, ((ok, ms) for id, ok, ms in pairs if id >= first)), past)


def since(health: IntegrationHealth) -> datetime | None:
    """Return since when one of with_circuit() is in its `shown_state`: where a breaker overrules the checks, when that opened."""
    overruled = getattr(health, "shown_state", health.state) != health.state
    return health.circuit_since if overruled else health.since  # type: ignore[attr-defined]  # annotated


def is_checked(integration: Integration) -> bool:
    """Say whether it is checked by schedule: it is active, and its connector has a test."""
    return integration.status == Status.ACTIVE and integration.type in checked_types()


def recent_failures(integration_id: uuid.UUID, most: int = 20) -> list[HealthSample]:
    """Return the newest failed checks, of the newest thousand."""
    newest = HealthSample.objects.filter(integration_id=integration_id).order_by("-id")[:1000]
    return [sample for sample in newest if sample.ok is False][:most]


def conditions(who: Principal) -> Counter[Condition]:
    """Return how many active integrations that `who` sees are in which condition; one statement over the narrow rows."""
    active = with_circuit(IntegrationHealth.objects.filter(integration__status=Status.ACTIVE))
    rows = visible(active, who, path="integration__owner_id").order_by()
    found: Counter[Condition] = Counter()
    failing = Case(When(consecutive_failures__gt=0, then=Value(1)), default=Value(0))
    for state, circuit_open, failures, number in rows.values_list("state", "circuit_open", failing).annotate(Count("pk")):
        found[condition_of(state, failures, breaker_open=circuit_open)] += number
    return found


def troubled(who: Principal, most: int) -> QuerySet[Any]:
    """Return the active integrations that are unhealthy, degraded or not measured, or whose breaker is open; the critical ones first.

    Rows have what with_circuit() adds.
    """
    rows = with_circuit(IntegrationHealth.objects.filter(integration__status=Status.ACTIVE))
    rows = rows.filter(Q(shown_state__in=[HealthState.UNHEALTHY, HealthState.DEGRADED]) | ~Q(not_measured=""))
    weight = Case(*(When(integration__criticality=value, then=Value(place)) for place, value in enumerate(Criticality.values)))
    shown = visible(rows, who, path="integration__owner_id").select_related("integration").annotate(weight=weight)
    shown = shown.defer("integration__credentials", "integration__previous_credentials")
    found: QuerySet[Any] = shown.order_by("weight", "-shown_state", "since")[:most]
    return found


def with_circuit(rows: QuerySet[IntegrationHealth]) -> QuerySet[Any]:
    """Return the rows with `circuit_open` (also half open), `circuit_since`, `circuit_error` and `shown_state`.

    `shown_state` is the state, but unhealthy while the breaker is not closed: calls fail, whatever the last checks said.
    """
    circuits = Circuit.objects.filter(integration_id=OuterRef("pk")).exclude(state=CircuitState.CLOSED)
    unhealthy = When(Exists(circuits), then=Value(HealthState.UNHEALTHY.value))
    return rows.annotate(
        circuit_open=Exists(circuits),
        circuit_since=Subquery(circuits.values("opened_at")[:1]),
        circuit_error=Subquery(circuits.values("last_error")[:1]),
        shown_state=Case(unhealthy, default=F("state")),
    )


def _samples(integration_id: uuid.UUID, since: date) -> QuerySet[HealthSample]:
    return HealthSample.objects.filter(integration_id=integration_id, trigger=SCHEDULE, id__gte=first_id_at(start_of(since))).order_by()
