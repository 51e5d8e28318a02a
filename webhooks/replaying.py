"""Works off a replay: step by step, each a short transaction that moves the cursor together with the deliveries it requeues.

A kill at any line neither loses nor doubles: what is not behind the cursor has not been touched. The rate holds across kills
and restarts, too, as each step stores until when its deliveries are spread. Replayed deliveries go into the lowest lane, so
live ones leave first.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core import bus, work_registry
from core.work import Done, Later, LeaseLost, Run
from webhooks.choices import DeliveryStatus, HoldReason, Lane, Trigger
from webhooks.engine.due import lock_states, recompute
from webhooks.models import Replay, Webhook, WebhookDelivery, WebhookState
from webhooks.models.replay import ReplayStatus
from webhooks.recovery import next_batch, selection_of

KIND_NAME = "webhook replays"
STEP_SECONDS = 2.0
"""So long a pause or a cancellation takes at most; so far ahead deliveries are made due."""
MOST_IN_STEP = 1000
BLOCK_SECONDS = 20.0
"""After that the next replay has its turn."""
PAUSED_SECONDS = 30.0
_LOOK_SECONDS = 0.2
_STEPS_KEPT = 10
DISABLED = "Paused: the webhook was disabled. Enable it, then resume."
DELETED = "The webhook was deleted."
_WAITED_OUT = {HoldReason.BREAKER, HoldReason.RETRY_AFTER, HoldReason.THROTTLED, HoldReason.INTEGRATION}


@dataclass(frozen=True)
class Stepped:
    """What a step says: go on after `wait` seconds, or that the replay is `parked` or has `ended`; `note` tells people why."""

    wait: float = 0.0
    parked: bool = False
    ended: bool = False
    note: str = ""


def work_off(run: Run) -> Later | Done:
    """Work a replay off for a while: the handler of its kind of work."""
    until = time.monotonic() + BLOCK_SECONDS
    while True:
        done = step(run)
        if done.ended:
            return Done(done.note)
        if done.parked:
            return Later(PAUSED_SECONDS, done.note)
        if run.time_is_up() or time.monotonic() + done.wait > until:
            work_registry.wake(KIND_NAME)
            return Later(0)
        _pause(run, done.wait)


def step(run: Run) -> Stepped:
    """Requeue the next few deliveries and move the cursor, in one transaction; raises LeaseLost."""
    with transaction.atomic():
        replay_id = run.row.pk
        state = lock_states([run.row.webhook_id]).get(run.row.webhook_id)  # type: ignore[attr-defined]
        replay = Replay.objects.select_for_update().filter(pk=replay_id, state=run.row.state, lease_token=run.token).first()
        if replay is None:
            raise LeaseLost(str(replay_id))
        now = timezone.now()
        if (known := _standing(replay, state, now)) is not None:
            return known
        return _requeue_next(replay, now)


def _standing(replay: Replay, state: WebhookState | None, now: datetime) -> Stepped | None:
    """Return what to do when it is not the time for deliveries; None when it is."""
    if replay.status == ReplayStatus.PAUSED:
        return Stepped(parked=True, note=_reason(replay))
    if replay.status != ReplayStatus.RUNNING:
        return Stepped(ended=True, note=_reason(replay))
    if state is None or not Webhook.objects.filter(id=replay.webhook_id, deleted_at__isnull=True).exists():
        _save(replay, status=ReplayStatus.CANCELLED, error=DELETED)
        return Stepped(ended=True, note=DELETED)
    if not state.enabled:
        _save(replay, status=ReplayStatus.PAUSED, error=DISABLED)
        return Stepped(parked=True, note=DISABLED)
    waits = [_seconds(replay.progress.get("spread_until"), now)]
    if state.hold_until is not None and state.hold_reason in _WAITED_OUT:
        # an endpoint that is down gets no mountain of deliveries on top
        waits.append(min((state.hold_until - now).total_seconds(), STEP_SECONDS))
    return Stepped(wait=max(waits)) if max(waits) > 0 else None


def _reason(replay: Replay) -> str:
    """Return why it was paused or cancelled, if not by a person: each look at it writes the reason anew."""
    return replay.error if replay.error in (DISABLED, DELETED) else ""


def _requeue_next(replay: Replay, now: datetime) -> Stepped:
    limit = max(1, min(MOST_IN_STEP, int(replay.rate_per_second * STEP_SECONDS)))
    found = next_batch(selection_of(replay), replay.cursor, limit)
    batch = found.rows
    chosen = _worth_sending(replay, batch)
    spread = len(chosen) / replay.rate_per_second
    _requeue(replay, chosen, now)
    values: dict[str, Any] = {
        "requeued": replay.requeued + len(chosen),
        "skipped": replay.skipped + len(batch) - len(chosen),
        "cursor": found.cursor,
        "error": "",
    }
    steps = [*replay.progress.get("steps", []), [round(now.timestamp(), 2), values["requeued"]]][-_STEPS_KEPT:]
    values["progress"] = {"spread_until": now.timestamp() + spread, "steps": steps}
    _save(replay, **values, **({"status": ReplayStatus.DONE} if found.last else {}))
    return Stepped(wait=spread, ended=found.last)


def _worth_sending(replay: Replay, batch: Sequence[WebhookDelivery]) -> list[WebhookDelivery]:
    """Leave out what succeeded since the replay began, and events that a newer delivery has brought or another will bring."""
    same = WebhookDelivery.objects.filter(
        webhook_id=replay.webhook_id,
        event_id__in=[row.event_id for row in batch],
        status__in=[DeliveryStatus.SUCCESS, DeliveryStatus.PENDING],
    )
    newest_success: dict[uuid.UUID, uuid.UUID] = {}
    taken: set[uuid.UUID] = set()
    for key, event_id, status in same.order_by("id").values_list("id", "event_id", "status"):
        if status == DeliveryStatus.SUCCESS:
            newest_success[event_id] = key
        else:
            taken.add(event_id)
    chosen = []
    for row in batch:
        brought = newest_success.get(row.event_id)
        since = row.status == DeliveryStatus.SUCCESS and row.finished_at is not None and row.finished_at >= replay.created_at
        if row.event_id in taken or since or (brought is not None and brought > row.id):
            continue
        taken.add(row.event_id)
        chosen.append(row)
    return chosen


def _requeue(replay: Replay, rows: Sequence[WebhookDelivery], now: datetime) -> None:
    """Make deliveries due one after the other at the replay's rate; the webhook's state row is locked."""
    if not rows:
        return
    former = Counter(DeliveryStatus(row.status) for row in rows)
    for number, row in enumerate(rows):
        row.status, row.finished_at, row.step = DeliveryStatus.PENDING, None, 0
        row.trigger, row.lane = Trigger.REPLAY, Lane.LOW
        row.next_attempt_at = now + timedelta(seconds=number / replay.rate_per_second)
    WebhookDelivery.objects.bulk_update(rows, ["status", "finished_at", "step", "trigger", "lane", "next_attempt_at"], batch_size=250)
    counters: dict[str, Any] = {f"{status.value}_count": F(f"{status.value}_count") - count for status, count in former.items()}
    WebhookState.objects.filter(webhook_id=replay.webhook_id).update(pending_count=F("pending_count") + len(rows), **counters)
    recompute([replay.webhook_id])
    transaction.on_commit(bus.wake)


def _save(replay: Replay, **values: Any) -> None:
    for name, value in values.items():
        setattr(replay, name, value)
    replay.save(update_fields=[*values, "updated_at"])


def _seconds(until: float | None, now: datetime) -> float:
    return 0.0 if until is None else until - now.timestamp()


def _pause(run: Run, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not run.stopping():
        time.sleep(min(left, _LOOK_SECONDS))


KIND = work_registry.Kind(KIND_NAME, Replay, work_off)
