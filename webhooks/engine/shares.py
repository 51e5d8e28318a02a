"""Who may have how many places in a turn: fair among the webhooks that are due. Pure: no clock, no database."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from webhooks.choices import BreakerState, HoldReason
from webhooks.engine.standing import refill
from webhooks.engine.types import Limits
from webhooks.models import WebhookState


@dataclass(slots=True)
class Places:
    """What a worker has free: requests, and among them those that need a thread of their own."""

    free: int
    threads: int


@dataclass(slots=True)
class Share:
    """What a due webhook may have in this turn: `room` up to its cap and its fair share, `granted` after its rate limit."""

    state: WebhookState
    limits: Limits
    room: int
    granted: int


def share_out(
    states: Iterable[WebhookState], limits: Mapping[uuid.UUID, Limits], live: Mapping[uuid.UUID, int], places: Places, now: datetime
) -> list[Share]:
    """Return what each webhook that may be served now can have; `live` says how many requests of each are open anywhere.

    A webhook without limits was deleted: its state is disabled. `places` ends as what is left.
    """
    ready = [state for state in states if state.enabled and (state.hold_until is None or state.hold_until <= now)]
    shares = []
    # who has the fewest requests open comes first, so that a place that falls vacant never goes back to a slow endpoint alone
    for state in sorted(ready, key=lambda state: (live.get(state.webhook_id, 0), state.next_due_at or now)):
        limit = limits.get(state.webhook_id)
        if limit is None:
            state.enabled = False  # left enabled it would be found due again at once, and for ever
            continue
        left = min(places.free, places.threads) if state.calls else places.free
        if left <= 0:
            continue
        state.hold_until, state.hold_reason = None, HoldReason.NONE
        cap = limit.concurrency if state.breaker == BreakerState.CLOSED else 1
        opened = live.get(state.webhook_id, 0)
        # at most half of what the others leave: however long an endpoint hangs, places are left for the healthy ones
        room = max(0, min(cap, (left + opened + 1) // 2) - opened)
        granted = min(room, refill(state, limit.rate_limit, now))
        shares.append(Share(state, limit, room=room, granted=granted))
        places.free -= granted
        places.threads -= granted if state.calls else 0
    return shares
