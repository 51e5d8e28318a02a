"""The engine's database work: one short transaction a turn, none open across a request.

Written with the ORM, which is what SQLite uses; webhooks/engine/store_postgres.py replaces the statements that a busy
PostgreSQL feels. Everything here runs on the engine's one database thread.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone

from core import leases, metrics, runtime
from core.ids import uuid7
from webhooks.choices import BreakerState, Lane
from webhooks.destinations import follow
from webhooks.engine import aftermath
from webhooks.engine.due import lock_states, recompute
from webhooks.engine.shares import Places, share_out
from webhooks.engine.standing import Standing, settle, spend
from webhooks.engine.targets import TargetCache, body, large_payloads
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


def hooks_of(results: Sequence[Result]) -> set[uuid.UUID]:
    """Return the webhooks whose attempts these were."""
    return {result.claimed.target.webhook_id for result in results}


class WorkerBuried(Exception):
    """This worker was given up for dead: what it holds is another's by now. It must register anew."""


class Written(NamedTuple):
    """Which leases were still held, and, for the webhooks to claim for, their limits and how many requests are open anywhere."""

    accepted: set[LeaseKey]
    limits: dict[uuid.UUID, Limits]
    """Deleted webhooks are left out."""
    live: dict[uuid.UUID, int]


class Opened(NamedTuple):
    """What the first stage of a turn found and did."""

    alive: bool
    """Whether this worker may claim: False when it was given up for dead."""
    now: datetime
    added: dict[uuid.UUID, int]
    """How many deliveries publishers added, by webhook."""
    states: dict[uuid.UUID, WebhookState]
    """Locked: those of the results, those hinted at, and, to claim for, others that are due."""
    written: Written


class Store:
    """Records what became of attempts and claims further deliveries, for one worker."""

    def __init__(self, worker_id: uuid.UUID) -> None:
        self.worker_id = worker_id
        self.clock_ahead = timedelta(0)
        self.threads = 0
        """How many deliveries may be leased whose destinations need a thread; set before each turn."""
        self._hints_left = False
        self._retry_in: float | None = None
        self._targets = TargetCache()

    def now(self) -> datetime:
        """Return the database's time: what is due is judged by the clock that said when."""
        return timezone.now() + self.clock_ahead

    def turn(self, results: Sequence[Result], free: int) -> Batch:
        """Record the attempts that ended and lease up to `free` due deliveries, fairly among the webhooks that have any.

        A result whose token is stale is dropped, so a turn that was committed but whose answer was lost can be repeated.
        Raises WorkerBuried, with the results recorded as far as their tokens allow, when the worker may not claim any more.
        """
        with transaction.atomic():
            alive, now, added, states, written = self.open(results, claiming=free > 0)
            claiming = free > 0 and alive
            recorded = self._settle(states, results, written.accepted, now)
            for webhook_id in added.keys() & states.keys():
                states[webhook_id].pending_count += added[webhook_id]
            leased, token, full = self._claim(states, written, free, now) if claiming else ([], uuid7(), [])
            upcoming = self.finish(states, full, aftermath.counts(recorded))
        if not alive:
            raise WorkerBuried
        claimed = self._prepare(leased, token, {webhook_id: limits.version for webhook_id, limits in written.limits.items()})
        more = self._hints_left or len(claimed) < len(leased)
        due = [seconds for seconds in (self._seconds_until(upcoming), self._retry_in) if seconds is not None]
        return Batch(claimed, due_in=0.0 if more else min(due, default=None))

    # --- the stages of a turn; on PostgreSQL each is one round trip -----------------------------------------------

    def open(self, results: Sequence[Result], *, claiming: bool) -> Opened:
        """Renew the heartbeat, take the hints of publishers, lock states, record what ended, look at those to claim for.

        The row lock of the heartbeat keeps a sweep from burying this worker while it claims.
        """
        alive, added = self._begin(claiming=claiming)
        now, claiming = self.now(), claiming and alive
        states = self._lock(added.keys() | hooks_of(results), now if claiming else None)
        return Opened(alive, now, added, states, self._write(results, now, states.keys() if claiming else ()))

    def _begin(self, *, claiming: bool) -> tuple[bool, dict[uuid.UUID, int]]:
        alive = not claiming or leases.beat(self.worker_id)
        hints = list(DueHint.objects.order_by("id")[:HINTS_AT_ONCE])
        if hints:
            DueHint.objects.filter(id__in=[hint.id for hint in hints]).delete()
        return alive, self._added([(hint.webhook_id, hint.count) for hint in hints])

    def _lock(self, webhook_ids: Collection[uuid.UUID], due_at: datetime | None) -> dict[uuid.UUID, WebhookState]:
        """Lock the state rows of these webhooks; with `due_at` also others that are due then, leaving out what others hold."""
        states = lock_states(webhook_ids) if webhook_ids else {}
        if due_at is not None:
            due = WebhookState.objects.filter(self._servable(), enabled=True, full=False, next_due_at__lte=due_at).exclude(
                webhook_id__in=states.keys()
            )
            found = due.order_by("next_due_at").select_for_update(skip_locked=True)[:WEBHOOKS_AT_ONCE]
            states |= {state.webhook_id: state for state in found}
        return states

    def pack(self, result: Result) -> None:
        """Prepare what is written of a result, on the thread that has it at hand; nothing here."""

    def _write(self, results: Sequence[Result], now: datetime, claiming: Collection[uuid.UUID]) -> Written:
        """End the leases under their tokens, change those deliveries, append their attempts; then look at those to claim for."""
        accepted = set()
        for result in results:
            claimed = result.claimed
            held = Lease.objects.filter(delivery_id=claimed.delivery_id, token=claimed.token)
            if held.delete()[0]:
                changes = {**aftermath.delivery_changes(result), "finished_at": now if aftermath.is_final(result) else None}
                WebhookDelivery.objects.filter(id=claimed.delivery_id).update(**changes)
                accepted.add(claimed.key)
        attempts = [DeliveryAttempt(**aftermath.attempt_values(result)) for result in results if result.claimed.key in accepted]
        DeliveryAttempt.objects.bulk_create(attempts, batch_size=500)
        if not claiming:
            return Written(accepted, {}, {})
        rows = Webhook.objects.filter(id__in=claiming, deleted_at__isnull=True).values_list("id", "concurrency", "rate_limit")
        live = Lease.objects.filter(webhook_id__in=claiming).values_list("webhook_id").annotate(Count("delivery_id")).order_by()
        return Written(accepted, {row[0]: Limits(*row) for row in rows}, dict(live))

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

    def finish(self, states: Mapping[uuid.UUID, WebhookState], full: Collection[uuid.UUID], counts: metrics.Counts) -> datetime | None:
        """Write what the turn changed of the state rows, and the metrics; returns when something is due next."""
        for state in states.values():
            state.save(update_fields=CHANGED_FIELDS)
        recompute(states.keys(), full)
        metrics.add(counts)  # last, because other processes wait for these rows
        return self.upcoming()

    # --- looking only ---------------------------------------------------------------------------------------------

    def peek(self) -> bool:
        """Say cheaply, without a write lock, whether a turn could find anything."""
        due = WebhookState.objects.filter(self._servable(), enabled=True, full=False, next_due_at__lte=self.now())
        return DueHint.objects.exists() or due.exists()

    def due_in(self) -> float | None:
        """Return in how many seconds something is due, as far as it is known."""
        return self._seconds_until(self.upcoming())

    def _seconds_until(self, moment: datetime | None) -> float | None:
        return None if moment is None else (moment - self.now()).total_seconds()

    def upcoming(self) -> datetime | None:
        """Return when something is due next, as far as it is known; what needs a thread only while one is free."""
        claimable = WebhookState.objects.filter(self._servable(), enabled=True, full=False, next_due_at__isnull=False)
        found: datetime | None = claimable.aggregate(at=Min("next_due_at"))["at"]
        return found

    def _servable(self) -> Q:
        return Q() if self.threads > 0 else Q(calls=False)

    def _added(self, hints: Sequence[tuple[uuid.UUID, int]]) -> dict[uuid.UUID, int]:
        self._hints_left, self._retry_in = len(hints) >= HINTS_AT_ONCE, None
        added: dict[uuid.UUID, int] = defaultdict(int)
        for webhook_id, count in hints:
            added[webhook_id] += count
        return added

    # --- what a turn decides --------------------------------------------------------------------------------------

    def _settle(
        self, states: dict[uuid.UUID, WebhookState], results: Sequence[Result], accepted: Collection[LeaseKey], now: datetime
    ) -> list[Result]:
        """Change the states by the results that were written, with all that follows; returns these results."""
        valid = [result for result in results if result.claimed.key in accepted and result.claimed.target.webhook_id in states]
        grouped: dict[uuid.UUID, list[Result]] = defaultdict(list)
        for result in valid:
            grouped[result.claimed.target.webhook_id].append(result)
        follow.start([(result.claimed.delivery_id, result.follow_up) for result in valid if result.follow_up is not None], now)
        limits = runtime.current()
        standings: dict[uuid.UUID, Standing] = {hook: settle(states[hook], rows, limits, now) for hook, rows in grouped.items()}
        aftermath.apply(states, standings, valid, now)
        return valid

    def _claim(
        self, states: Mapping[uuid.UUID, WebhookState], written: Written, free: int, now: datetime
    ) -> tuple[list[EventRow], uuid.UUID, list[uuid.UUID]]:
        """Lease for the webhooks whose rows are locked; returns also the token, and which webhooks are at their cap."""
        shares = share_out(states.values(), written.limits, written.live, Places(free, self.threads), now)
        token = uuid7()
        wanted = {share.state.webhook_id: share.granted for share in shares if share.granted}
        leased = self.lease(wanted, token, now) if wanted else []
        got: dict[uuid.UUID, int] = defaultdict(int)
        for row in leased:
            got[row.webhook_id] += 1
        for share in shares:
            taken = got[share.state.webhook_id]
            self.threads -= taken if share.state.calls else 0
            if taken and share.state.breaker != BreakerState.CLOSED:
                share.state.breaker = BreakerState.HALF_OPEN
            spend(share.state, share.limits.rate_limit, taken, now, wanted_more=taken == share.granted < share.room)
        return leased, token, [share.state.webhook_id for share in shares if got[share.state.webhook_id] >= share.room]

    def _prepare(self, leased: Sequence[EventRow], token: uuid.UUID, versions: Mapping[uuid.UUID, str | None]) -> list[Claimed]:
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
        targets = self._targets.load({row.webhook_id: versions[row.webhook_id] for row in kept})
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
