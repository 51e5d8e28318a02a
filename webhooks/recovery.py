"""Which deliveries a recovery is about, how many they are, and how far a replay of them is."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Count, Max, Min, Q, QuerySet

from core.ids import first_id_at
from core.models.work import WorkState
from webhooks.choices import DeliveryStatus, Trigger
from webhooks.models import Replay, WebhookDelivery
from webhooks.models.replay import ReplayStatus

MOST_COUNTED = 100_000
MOST_LOOKED_AT = 5_000
MOST_OLDER = 1_000
RECOVERABLE = (DeliveryStatus.FAILED, DeliveryStatus.CANCELLED, DeliveryStatus.SUCCESS)


@dataclass(frozen=True)
class Selection:
    """Deliveries of one webhook that were created in [since, until), by status and event type (names or wildcards; none: all)."""

    webhook_id: uuid.UUID
    since: datetime
    until: datetime
    statuses: tuple[str, ...] = (DeliveryStatus.FAILED.value,)
    event_types: tuple[str, ...] = ()

    @property
    def types(self) -> Q:
        """Return the condition for the event types."""
        return _of_types(self.event_types)

    def wants(self, event_type: str) -> bool:
        """Say whether it is about this type."""
        patterns = self.event_types or ("*",)
        return any(event_type.startswith(name[:-1]) if name.endswith(".*") else name in ("*", event_type) for name in patterns)

    def ranges(self, after: uuid.UUID | None = None) -> list[QuerySet[WebhookDelivery]]:
        """Return the deliveries of each status, whatever their type, oldest first: each a range of the index on webhook, status and id.

        One by one, since no index gives several statuses in the order of their ids. With `after`, those behind that delivery.
        """
        within = WebhookDelivery.objects.filter(webhook_id=self.webhook_id, id__gte=first_id_at(self.since), id__lt=first_id_at(self.until))
        rows = within.filter(id__gt=after) if after else within
        return [rows.filter(status=status).order_by("id") for status in self.statuses]


@dataclass(frozen=True)
class Preview:
    """What a recovery would send. `count` is exact, unless there may be `more`; `seconds` is how long it takes at its rate.

    With `more` the count is of the oldest deliveries that were looked at, and so are `oldest` and `newest`: it sends at least so many.
    """

    count: int
    more: bool
    oldest: datetime | None
    newest: datetime | None
    seconds: float


@dataclass(frozen=True)
class Batch:
    """Deliveries to be requeued next; `cursor` is how far was looked, `last` that nothing is behind it."""

    rows: list[WebhookDelivery]
    cursor: uuid.UUID | None
    last: bool


@dataclass(frozen=True)
class Progress:
    """How far a replay is: share dealt with in percent, deliveries a second of late, and seconds left at its capped rate."""

    percent: float
    rate: float
    eta_seconds: float | None


@dataclass(frozen=True)
class Results:
    """Where the deliveries that a replay sent again stand now.

    With `more` only the oldest of the range were looked at: at least so many.
    """

    arrived: int
    failed_again: int
    waiting: int
    cancelled: int
    more: bool


def selection_of(replay: Replay) -> Selection:
    """Return what a replay is about."""
    return Selection(replay.webhook_id, replay.since, replay.until, tuple(replay.statuses), tuple(replay.event_types))


def preview(selection: Selection, rate_per_second: float) -> Preview:
    """Count what a recovery would send now; of each status no more than MOST_COUNTED rows are looked at, however rare a type is."""
    numbers = {"seen": Count("pk"), "count": Count("pk", filter=selection.types)}
    ends = {"oldest": Min("created_at", filter=selection.types), "newest": Max("created_at", filter=selection.types)}
    parts = [rows[:MOST_COUNTED].aggregate(**numbers, **ends) for rows in selection.ranges()]
    count = sum(part["count"] for part in parts)
    more = any(part["seen"] == MOST_COUNTED for part in parts)
    oldest = min((part["oldest"] for part in parts if part["oldest"]), default=None)
    newest = max((part["newest"] for part in parts if part["newest"]), default=None)
    return Preview(count, more, oldest, newest, count / rate_per_second)


def older_failed(webhook_id: uuid.UUID, since: datetime) -> int:
    """Count the failed deliveries before a range: one statement, and MOST_OLDER + 1 stands for more than that."""
    rows = WebhookDelivery.objects.filter(webhook_id=webhook_id, status=DeliveryStatus.FAILED, id__lt=first_id_at(since))
    return rows.order_by("-id")[: MOST_OLDER + 1].count()


def next_batch(selection: Selection, after: uuid.UUID | None, limit: int) -> Batch:
    """Return the next deliveries in the order of their ids, locked; call it inside a transaction, with the webhook's state locked.

    Of each status no more than MOST_LOOKED_AT rows are looked at: a rare type is found over several batches, some of them empty.
    Types are told apart here, since a database that expects few of a type may look for it in every webhook's deliveries.
    """
    size = max(limit, MOST_LOOKED_AT) if selection.event_types else limit
    found: list[uuid.UUID] = []
    horizon: uuid.UUID | None = None  # how far every status was looked through
    for rows in selection.ranges(after):
        page = list(rows.values_list("id", "event_type")[:size])
        found += [id for id, event_type in page if selection.wants(event_type)]
        if len(page) == size:
            horizon = min(horizon or page[-1][0], page[-1][0])
    chosen = sorted(id for id in found if horizon is None or id <= horizon)[:limit]
    # locked, so that none is pruned meanwhile; their changes are fenced by the webhook's state row
    rows_chosen = list(WebhookDelivery.objects.filter(id__in=chosen).order_by("id").select_for_update(of=("self",)))
    if len(chosen) == limit:
        return Batch(rows_chosen, chosen[-1], last=False)
    return Batch(rows_chosen, horizon or (chosen[-1] if chosen else after), last=horizon is None)


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


def results_of(replay: Replay) -> Results:
    """Count what became of the deliveries up to the cursor: four statements, each looks at MOST_COUNTED rows of the index at most.

    A delivery that was sent again was not caused by its event alone, and is pending or has ended since the replay began.
    """
    if replay.cursor is None:
        return Results(0, 0, 0, 0, more=False)
    order = (DeliveryStatus.SUCCESS, DeliveryStatus.FAILED, DeliveryStatus.PENDING, DeliveryStatus.CANCELLED)
    selection = replace(selection_of(replay), statuses=tuple(status.value for status in order))
    since = Q(status=DeliveryStatus.PENDING) | Q(finished_at__gte=replay.created_at)
    again = selection.types & since & Q(trigger__in=[Trigger.REPLAY, Trigger.MANUAL])
    numbers = {"seen": Count("pk"), "count": Count("pk", filter=again)}
    parts = [rows.filter(id__lte=replay.cursor)[:MOST_COUNTED].aggregate(**numbers) for rows in selection.ranges()]
    arrived, failed_again, waiting, cancelled = (part["count"] for part in parts)
    return Results(arrived, failed_again, waiting, cancelled, more=any(part["seen"] == MOST_COUNTED for part in parts))


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
