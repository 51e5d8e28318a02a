"""Which deliveries a recovery is about, how many they are, and how far a replay of them is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from core.ids import first_id_at
from core.models.work import WorkState
from webhooks.choices import DeliveryStatus
from webhooks.models import Replay, WebhookDelivery
from webhooks.models.replay import ReplayStatus

MOST_COUNTED = 100_000
RECOVERABLE = (DeliveryStatus.FAILED, DeliveryStatus.CANCELLED, DeliveryStatus.SUCCESS)


@dataclass(frozen=True)
class Selection:
    """Deliveries of one webhook that were created in [since, until), by status and event type (names or wildcards; none: all)."""

    webhook_id: uuid.UUID
    since: datetime
    until: datetime
    statuses: tuple[str, ...] = (DeliveryStatus.FAILED.value,)
    event_types: tuple[str, ...] = ()

    def rows(self) -> QuerySet[WebhookDelivery]:
        """Return the deliveries, as a range of an index."""
        within = WebhookDelivery.objects.filter(id__gte=first_id_at(self.since), id__lt=first_id_at(self.until))
        return within.filter(_of_types(self.event_types), webhook_id=self.webhook_id, status__in=self.statuses)


@dataclass(frozen=True)
class Preview:
    """What a recovery would send. `count` is exact, unless there are `more` than that; `seconds` is how long it takes at its rate."""

    count: int
    more: bool
    oldest: datetime | None
    newest: datetime | None
    seconds: float


@dataclass(frozen=True)
class Progress:
    """How far a replay is: share dealt with in percent, deliveries a second of late, and seconds left at its capped rate."""

    percent: float
    rate: float
    eta_seconds: float | None


def selection_of(replay: Replay) -> Selection:
    """Return what a replay is about."""
    return Selection(replay.webhook_id, replay.since, replay.until, tuple(replay.statuses), tuple(replay.event_types))


def preview(selection: Selection, rate_per_second: float) -> Preview:
    """Count what a recovery would send now; never more than MOST_COUNTED rows."""
    rows = selection.rows()
    count = rows.order_by()[: MOST_COUNTED + 1].count()
    shown = min(count, MOST_COUNTED)
    ends = [rows.order_by(order).values_list("created_at", flat=True).first() if count else None for order in ("id", "-id")]
    return Preview(shown, count > MOST_COUNTED, ends[0], ends[1], shown / rate_per_second)


def shown_status(replay: Replay) -> str:
    """Return where a replay stands; one whose work failed for good is failed, whatever was asked of it."""
    if replay.status == ReplayStatus.RUNNING and replay.state == WorkState.FAILED:
        return ReplayStatus.FAILED.value
    return str(replay.status)


def progress_of(replay: Replay) -> Progress:
    """Return how far a replay is."""
    done = replay.requeued + replay.skipped
    ended = replay.status == ReplayStatus.DONE
    percent = 100.0 if ended else min(99.9, 100 * done / replay.estimated) if replay.estimated else 0.0
    status = shown_status(replay)
    left = max(0, replay.estimated - done) / replay.rate_per_second if status == ReplayStatus.RUNNING else None
    return Progress(round(percent, 1), _late_rate(replay) if status == ReplayStatus.RUNNING else 0.0, left)


def unfinished() -> Q:
    """Return the condition for replays that still hold their webhook: running or paused, and not failed."""
    return Q(status__in=[ReplayStatus.RUNNING, ReplayStatus.PAUSED], state__in=[WorkState.QUEUED, WorkState.RUNNING])


def with_status(replays: QuerySet[Replay], status: str) -> QuerySet[Replay]:
    """Return the replays that shown_status() says this of."""
    failed = Q(status=ReplayStatus.RUNNING, state=WorkState.FAILED)
    if status == ReplayStatus.FAILED:
        return replays.filter(failed)
    return replays.filter(~failed, status=status)


def _late_rate(replay: Replay) -> float:
    """Return the deliveries a second over the latest steps, which are kept as [Unix time, requeued so far]."""
    steps = replay.progress.get("steps", [])
    if len(steps) < 2 or steps[-1][0] <= steps[0][0]:
        return 0.0
    return round(float((steps[-1][1] - steps[0][1]) / (steps[-1][0] - steps[0][0])), 1)


def _of_types(patterns: tuple[str, ...]) -> Q:
    if not patterns or "*" in patterns:
        return Q()
    wanted = Q(event_type__in=[pattern for pattern in patterns if not pattern.endswith(".*")])
    for pattern in patterns:
        if pattern.endswith(".*"):
            wanted |= Q(event_type__startswith=pattern.removesuffix("*"))
    return wanted
