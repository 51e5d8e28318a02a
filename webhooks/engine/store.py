"""The engine's database work: one short transaction a turn, none open across a request.

Written with the ORM, which is what SQLite uses; webhooks/engine/store_postgres.py replaces the statements that a busy
PostgreSQL feels. Everything here runs on the engine's one database thread.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from core import leases, runtime
from core.ids import uuid7
from webhooks.choices import BreakerState, HoldReason, Lane
from webhooks.engine import aftermath
from webhooks.engine.due import lock_states, recompute
from webhooks.engine.standing import Standing, refill, settle, spend
from webhooks.engine.targets import body, large_payloads, load_targets
from webhooks.engine.types import Batch, Claimed, EventRow, LeaseKey, Limits, Result
from webhooks.models import DeliveryAttempt, DueHint, Lease, Webhook, WebhookDelivery, WebhookState
from webhooks.models.delivery import WAITING

WORKER_KIND = "deliveries"
HINTS_AT_ONCE = 2000
WEBHOOKS_AT_ONCE = 200
BYTES_AT_ONCE = 64 * 1024 * 1024
CHANGED_FIELDS = (
    "enabled", "hold_until", "hold_reason", "breaker", "breaker_trips", "breaker_failures", "consecutive_failures", "failing_since",
    "last_success_at", "last_failure_at", "last_error", "tokens", "tokens_at", "pending_count", "success_count", "failed_count",
)  # fmt: skip


class WorkerBuried(Exception):
    """This worker was given up for dead: what it holds is another's by now. It must register anew."""


@dataclass(slots=True)
class Share:
    """What a due webhook may have in this turn: `room` up to its cap and its fair share, `granted` after its rate limit."""

    state: WebhookState
    limits: Limits
    room: int
    granted: int


class Store:
    """Records what became of attempts and claims further deliveries, for one worker."""

    def __init__(self, worker_id: uuid.UUID) -> None:
        self.worker_id = worker_id
        self.clock_ahead = timedelta(0)

    def now(self) -> datetime:
        """Return the database's time: what is due is judged by the clock that said when."""
        return timezone.now() + self.clock_ahead

    def turn(self, results: Sequence[Result], free: int) -> Batch:
        """Record the attempts that ended and lease up to `free` due deliveries, fairly among the webhooks that have any.

        A result whose token is stale is dropped, so a turn that was committed but whose answer was lost can be repeated.
        Raises WorkerBuried, with the results recorded as far as their tokens allow, when the worker may not claim any more.
        """
        with transaction.atomic():
            # the row lock keeps a sweep from burying this worker while it claims
            alive = not free or self.beat()
            added = self.take_hints()
            states = self.lock(added.keys() | {result.claimed.target.webhook_id for result in results})
            now = self.now()
            recorded = self._record(states, results, now)
            for webhook_id in added.keys() & states.keys():
                states[webhook_id].pending_count += added[webhook_id]
            leased, token, full = self._claim(states, free, now) if free and alive else ([], uuid7(), [])
            self.save_states(list(states.values()))
            recompute(states.keys(), full)
            aftermath.count(recorded)
            due_in = self.due_in()
        if not alive:
            raise WorkerBuried
        return Batch(self._prepare(leased, token), due_in=due_in)

    def beat(self) -> bool:
        """Renew this worker's heartbeat; False when it was given up for dead."""
        return leases.beat(self.worker_id)

    def peek(self) -> bool:
        """Say cheaply, without a write lock, whether a turn could find anything."""
        due = WebhookState.objects.filter(enabled=True, full=False, next_due_at__lte=self.now())
        return DueHint.objects.exists() or due.exists()

    def due_in(self) -> float | None:
        """Return in how many seconds something is due, as far as it is known."""
        upcoming = self.upcoming()
        return None if upcoming is None else (upcoming - self.now()).total_seconds()

    def upcoming(self) -> datetime | None:
        """Return when something is due next, as far as it is known."""
        claimable = WebhookState.objects.filter(enabled=True, full=False, next_due_at__isnull=False)
        found: datetime | None = claimable.aggregate(at=Min("next_due_at"))["at"]
        return found

    # --- what publishers left ------------------------------------------------------------------------------------

    def take_hints(self) -> dict[uuid.UUID, int]:
        """Take the hints of publishers; returns how many deliveries each webhook was given."""
        hints = list(DueHint.objects.order_by("id")[:HINTS_AT_ONCE])
        if hints:
            DueHint.objects.filter(id__in=[hint.id for hint in hints]).delete()
        added: dict[uuid.UUID, int] = defaultdict(int)
        for hint in hints:
            added[hint.webhook_id] += hint.count
        return added

    def lock(self, webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, WebhookState]:
        """Lock the state rows of these webhooks."""
        return lock_states(webhook_ids) if webhook_ids else {}

    # --- record --------------------------------------------------------------------------------------------------

    def _record(self, states: dict[uuid.UUID, WebhookState], results: Sequence[Result], now: datetime) -> list[Result]:
        if not results:
            return []
        accepted = self.write(results, now)
        valid = [result for result in results if result.claimed.key in accepted and result.claimed.target.webhook_id in states]
        grouped: dict[uuid.UUID, list[Result]] = defaultdict(list)
        for result in valid:
            grouped[result.claimed.target.webhook_id].append(result)
        limits = runtime.current()
        standings: dict[uuid.UUID, Standing] = {hook: settle(states[hook], rows, limits, now) for hook, rows in grouped.items()}
        aftermath.apply(states, standings, valid, now)
        return valid

    def write(self, results: Sequence[Result], now: datetime) -> set[LeaseKey]:
        """End the leases under their tokens, change those deliveries, append their attempts; returns the leases that were still held."""
        accepted = set()
        for result in results:
            claimed = result.claimed
            held = Lease.objects.filter(delivery_id=claimed.delivery_id, token=claimed.token)
            if held.delete()[0]:
                WebhookDelivery.objects.filter(id=claimed.delivery_id).update(**aftermath.delivery_changes(result, now))
                accepted.add(claimed.key)
        attempts = [DeliveryAttempt(**aftermath.attempt_values(result)) for result in results if result.claimed.key in accepted]
        DeliveryAttempt.objects.bulk_create(attempts, batch_size=500)
        return accepted

    def save_states(self, states: Sequence[WebhookState]) -> None:
        """Write what a turn changes of the state rows."""
        for state in states:
            state.save(update_fields=CHANGED_FIELDS)

    # --- claim ---------------------------------------------------------------------------------------------------

    def _claim(self, states: dict[uuid.UUID, WebhookState], free: int, now: datetime) -> tuple[list[EventRow], uuid.UUID, list[uuid.UUID]]:
        """Lease for the webhooks whose rows are locked already and for others that are due; adds the latter to `states`."""
        for state in self.due_states(now, states.keys()):
            states[state.webhook_id] = state
        shares = self._shares(states.values(), free, now)
        token = uuid7()
        leased = self.lease({share.state.webhook_id: share.granted for share in shares if share.granted}, token, now)
        got: dict[uuid.UUID, int] = defaultdict(int)
        for row in leased:
            got[row.webhook_id] += 1
        for share in shares:
            taken = got[share.state.webhook_id]
            if taken and share.state.breaker != BreakerState.CLOSED:
                share.state.breaker = BreakerState.HALF_OPEN
            spend(share.state, share.limits.rate_limit, taken, now, wanted_more=taken == share.granted < share.room)
        return leased, token, [share.state.webhook_id for share in shares if got[share.state.webhook_id] >= share.room]

    def due_states(self, now: datetime, locked: Collection[uuid.UUID]) -> list[WebhookState]:
        """Lock and return due states beside those `locked` already, longest due first, leaving out what others hold."""
        due = WebhookState.objects.filter(enabled=True, full=False, next_due_at__lte=now).exclude(webhook_id__in=locked)
        return list(due.order_by("next_due_at").select_for_update(skip_locked=True)[:WEBHOOKS_AT_ONCE])

    def _shares(self, states: Iterable[WebhookState], free: int, now: datetime) -> list[Share]:
        ready = [state for state in states if state.enabled and (state.hold_until is None or state.hold_until <= now)]
        limits = self.limits([state.webhook_id for state in ready])
        live = self.live_leases(limits.keys())
        shares = []
        # who has the fewest requests open comes first, so that a place that falls vacant never goes back to a slow endpoint alone
        for state in sorted(ready, key=lambda state: (live.get(state.webhook_id, 0), state.next_due_at or now)):
            limit = limits.get(state.webhook_id)
            if limit is None:
                state.enabled = False  # deleted; left enabled it would be found due again at once, and for ever
                continue
            if free <= 0:
                continue
            state.hold_until, state.hold_reason = None, HoldReason.NONE
            cap = limit.concurrency if state.breaker == BreakerState.CLOSED else 1
            opened = live.get(state.webhook_id, 0)
            # at most half of what the others leave: however long an endpoint hangs, places are left for the healthy ones
            room = max(0, min(cap, (free + opened + 1) // 2) - opened)
            granted = min(room, refill(state, limit.rate_limit, now))
            shares.append(Share(state, limit, room=room, granted=granted))
            free -= granted
        return shares

    def limits(self, webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Limits]:
        """Return the limits of these webhooks, deleted ones left out."""
        rows = Webhook.objects.filter(id__in=webhook_ids, deleted_at__isnull=True).values_list("id", "concurrency", "rate_limit")
        return {row[0]: Limits(*row) for row in rows} if webhook_ids else {}

    def live_leases(self, webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, int]:
        """Return how many requests of each webhook are open, here and elsewhere."""
        leased = Lease.objects.filter(webhook_id__in=webhook_ids)
        return dict(leased.values_list("webhook_id").annotate(Count("delivery_id")).order_by()) if webhook_ids else {}

    def lease(self, wanted: dict[uuid.UUID, int], token: uuid.UUID, now: datetime) -> list[EventRow]:
        """Lease the next deliveries of each webhook, urgent lanes first, and return them."""
        picked: list[uuid.UUID] = []
        for webhook_id, count in wanted.items():
            room = count
            for lane in Lane.values:
                waiting = WebhookDelivery.objects.filter(WAITING, webhook_id=webhook_id, lane=lane, next_attempt_at__lte=now)
                ids = list(waiting.order_by("next_attempt_at").values_list("id", flat=True)[:room])
                picked += ids
                room -= len(ids)
                if room <= 0:
                    break
        columns = (
            "id", "webhook_id", "event_id", "event_type", "attempts", "step", "trigger", "event__created_at", "event__size",
            "event__request_id",
        )  # fmt: skip
        order = {delivery_id: place for place, delivery_id in enumerate(picked)}
        found = WebhookDelivery.objects.filter(id__in=picked).values_list(*columns)
        rows = [EventRow._make((*row[:7], row[7].timestamp(), *row[8:], None)) for row in found]
        Lease.objects.bulk_create(
            [Lease(delivery_id=row.delivery_id, webhook_id=row.webhook_id, owner=self.worker_id, token=token) for row in rows]
        )
        return sorted(rows, key=lambda row: order[row.delivery_id])

    def _prepare(self, leased: Sequence[EventRow], token: uuid.UUID) -> list[Claimed]:
        """Add to the leased rows what their requests need; rows beyond the bytes held at once are given back."""
        if not leased:
            return []
        kept: list[EventRow] = []
        total = 0
        for row in leased:
            total += row.size
            if kept and total > BYTES_AT_ONCE:
                break
            kept.append(row)
        if len(kept) < len(leased):
            self.give_back([row.delivery_id for row in leased[len(kept) :]])
        targets = load_targets({row.webhook_id for row in kept})
        data = large_payloads(kept)
        body_of = {row.event_id: body(row, data) for row in kept}
        return [Claimed(row, token, targets[row.webhook_id], body_of[row.event_id]) for row in kept if row.webhook_id in targets]

    def give_back(self, delivery_ids: Sequence[uuid.UUID]) -> None:
        """End leases without an attempt: nothing was sent."""
        self._free(Lease.objects.filter(delivery_id__in=delivery_ids, owner=self.worker_id))

    def give_back_all_but(self, tokens: Collection[uuid.UUID]) -> None:
        """End every lease of this worker that is not under one of these tokens.

        Without tokens that is all of them, when the process stops; with those of the requests under way, those that a turn
        leased whose answer was lost.
        """
        self._free(Lease.objects.filter(owner=self.worker_id).exclude(token__in=tokens))

    def _free(self, held: QuerySet[Lease]) -> None:
        with transaction.atomic():
            hooks = set(held.values_list("webhook_id", flat=True))
            if hooks:
                lock_states(hooks)
                held.delete()
                recompute(hooks)
