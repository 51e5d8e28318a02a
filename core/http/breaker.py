"""The circuit breaker of each integration: one row shared by all processes, changed by single conditional statements.

Closed, calls go through and failures in a row are counted; at `breaker_failures` it opens and calls are refused. When the hold is
over exactly one call, the probe, is let through: its success closes the breaker, its failure opens it for twice as long, up to an
hour. A probe whose process died is replaced when its time is over. A row exists only from the first failure on.
Terms with no `breaker_failures` (0) have no breaker: they neither ask nor tell it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.db.models import Case, Count, F, Field, Q, Value, When
from django.utils import timezone

from core.http.door import CircuitOpen, Terms
from core.models import Circuit
from core.models.outbound import CircuitState

LONGEST_HOLD_SECONDS = 3600.0
# what a probe may take beyond its timeout: connecting anew, signing in, writing the log
_PROBE_MARGIN_SECONDS = 10.0
_LONGEST_ERROR = 500
_MOST_TRIPS = 30


@dataclass(frozen=True)
class BreakerState:
    """Where a breaker stands. `failures` are those in a row; `hold_until` is when an open one lets a probe through."""

    state: CircuitState = CircuitState.CLOSED
    failures: int = 0
    trips: int = 0
    opened_at: datetime | None = None
    hold_until: datetime | None = None
    last_error: str = ""
    changed_at: datetime | None = None


@dataclass(frozen=True)
class Pass:
    """The breaker's leave to call: `known` says that a row exists, `probe` is the token of the one that decides."""

    known: bool = False
    probe: uuid.UUID | None = None
    trips: int = 0


def state(integration_id: uuid.UUID) -> BreakerState:
    """Return where an integration's breaker stands; closed where it never failed. One statement."""
    row = Circuit.objects.filter(integration_id=integration_id).first()
    if row is None:
        return BreakerState()
    return BreakerState(CircuitState(row.state), row.failures, row.trips, row.opened_at, row.hold_until, row.last_error, row.changed_at)


def not_closed() -> dict[str, int]:
    """Return how many breakers are open and half open. One statement."""
    states = (CircuitState.OPEN.value, CircuitState.HALF_OPEN.value)
    rows = Circuit.objects.filter(state__in=states).values_list("state").annotate(Count("pk")).order_by()
    return dict.fromkeys(states, 0) | dict(rows)


def reset(integration_id: uuid.UUID) -> bool:
    """Close the breaker and forget its failures; says whether there was anything to forget.

    A probe under way no longer decides anything. Whoever calls this writes the audit entry, and ends a pause (core/http/pauses.py).
    """
    changed = Circuit.objects.filter(~Q(state=CircuitState.CLOSED) | Q(failures__gt=0), integration_id=integration_id)
    return changed.update(**_closed(timezone.now())) > 0


def enter(terms: Terms) -> Pass:
    """Ask for leave to call, perhaps as the probe. Raises CircuitOpen. Tell success(), failure() or neither() afterwards."""
    if not terms.breaker_failures:
        return Pass()
    row = Circuit.objects.filter(integration_id=terms.integration_id).only("state", "trips", "hold_until", "last_error").first()
    if row is None:
        return Pass()
    if row.state == CircuitState.CLOSED:
        return Pass(known=True)
    now = timezone.now()
    if row.hold_until is None or row.hold_until <= now:
        token = uuid.uuid4()
        due = Q(hold_until__lte=now) | Q(hold_until__isnull=True)
        open_rows = Circuit.objects.filter(due, integration_id=terms.integration_id).exclude(state=CircuitState.CLOSED)
        lifetime = timedelta(seconds=terms.timeout + _PROBE_MARGIN_SECONDS)
        if open_rows.update(state=CircuitState.HALF_OPEN, probe_token=token, hold_until=now + lifetime, changed_at=now):
            return Pass(known=True, probe=token, trips=row.trips)
        row.refresh_from_db(fields=["state", "hold_until"])
        if row.state == CircuitState.CLOSED:
            return Pass(known=True)
    raise _refusal(terms, row, now)


def peek(terms: Terms) -> None:
    """Raise CircuitOpen where enter() would now; takes nothing."""
    if not terms.breaker_failures:
        return
    row = Circuit.objects.filter(integration_id=terms.integration_id).exclude(state=CircuitState.CLOSED).first()
    now = timezone.now()
    if row is not None and row.hold_until is not None and row.hold_until > now:
        raise _refusal(terms, row, now)


def success(terms: Terms, leave: Pass) -> None:
    """Note that the service answers: failures are forgotten, and a probe closes the breaker."""
    if not leave.known:
        return
    rows = Circuit.objects.filter(integration_id=terms.integration_id)
    if leave.probe is None:
        rows.filter(state=CircuitState.CLOSED, failures__gt=0).update(failures=0)
    else:
        rows.filter(state=CircuitState.HALF_OPEN, probe_token=leave.probe).update(**_closed(timezone.now()))


def failure(terms: Terms, leave: Pass, error: str) -> None:
    """Note that the service failed: one failure more, and perhaps the breaker opens; a failed probe opens it for longer."""
    if not terms.breaker_failures:
        return
    now, error = timezone.now(), error[:_LONGEST_ERROR]
    rows = Circuit.objects.filter(integration_id=terms.integration_id)
    if leave.probe is not None:
        changes = {"opened_at": now, "hold_until": now + _hold(terms, leave.trips), "probe_token": None, "changed_at": now}
        trips = min(leave.trips + 1, _MOST_TRIPS)
        mine = rows.filter(state=CircuitState.HALF_OPEN, probe_token=leave.probe)
        mine.update(state=CircuitState.OPEN, trips=trips, failures=F("failures") + 1, last_error=error, **changes)
        return
    if not _count(terms, now, error):
        Circuit.objects.bulk_create([Circuit(integration_id=terms.integration_id)], ignore_conflicts=True)
        _count(terms, now, error)


def neither(terms: Terms, leave: Pass) -> None:
    """Note that nothing was learnt about the service: a probe's place is free again."""
    if leave.probe is not None:
        now = timezone.now()
        mine = Circuit.objects.filter(integration_id=terms.integration_id, state=CircuitState.HALF_OPEN, probe_token=leave.probe)
        mine.update(state=CircuitState.OPEN, probe_token=None, hold_until=now, changed_at=now)


def _count(terms: Terms, now: datetime, error: str) -> int:
    """Add one failure to a closed breaker, and open it at the threshold: one statement."""
    last = Q(failures__gte=max(1, terms.breaker_failures) - 1)
    opening = {
        "state": CircuitState.OPEN.value,
        "trips": 1,
        "opened_at": now,
        "hold_until": now + _hold(terms, 0),
        "changed_at": now,
    }
    changes = {name: _case(last, name, value) for name, value in opening.items()}
    closed = Circuit.objects.filter(integration_id=terms.integration_id, state=CircuitState.CLOSED)
    return closed.update(failures=F("failures") + 1, last_error=error, **changes)


def _case(condition: Q, name: str, value: object) -> Case:
    """Return what sets a column where the condition holds, and leaves it otherwise."""
    column = cast("Field[Any, Any]", Circuit._meta.get_field(name))
    return Case(When(condition, then=Value(value, output_field=column)), default=F(name), output_field=column)


def _closed(now: datetime) -> dict[str, object]:
    return {"state": CircuitState.CLOSED, "failures": 0, "trips": 0, "probe_token": None, "hold_until": None, "changed_at": now}


def _hold(terms: Terms, trips: int) -> timedelta:
    return timedelta(seconds=min(terms.breaker_hold_seconds * 2.0 ** min(trips, _MOST_TRIPS), LONGEST_HOLD_SECONDS))


def _refusal(terms: Terms, row: Circuit, now: datetime) -> CircuitOpen:
    wait = max(0.001, (row.hold_until - now).total_seconds()) if row.hold_until else 1.0
    why = f" The last failure: {row.last_error}" if row.last_error else ""
    return CircuitOpen(
        f"{terms.name} has failed repeatedly and is not called for now; it is probed in {wait:.0f} s.{why}", retry_after=wait
    )
