"""What waits, over all webhooks, at a cost that depends on the number of webhooks but never on that of deliveries.

A webhook that is switched off or held (breaker, Retry-After, rate limit) has its deliveries parked; those of every other one
are pending: they wait for their time or a free place, or are under way. Deleted webhooks don't count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone

from webhooks.choices import WebhookStatus
from webhooks.models import DueHint, Lease, Webhook, WebhookState


@dataclass(frozen=True)
class Backlog:
    """The deliveries that are not finished, and when the engine last recorded an attempt."""

    pending: int
    parked: int
    in_flight: int
    oldest_due_at: datetime | None
    """When the longest waiting delivery became due that is not parked; None where nothing is overdue."""
    stuck_since: datetime | None
    """The same, but only for webhooks with a free place: a backlog at a webhook's own concurrency cap is not the engine's."""
    last_attempt_at: datetime | None


def moving(now: datetime) -> Q:
    """Return the condition on WebhookState for a webhook whose deliveries are not parked."""
    return Q(enabled=True) & (Q(hold_until__isnull=True) | Q(hold_until__lte=now))


def backlog() -> Backlog:
    """Return what waits now: three statements."""
    now = timezone.now()
    live = WebhookState.objects.filter(webhook__deleted_at__isnull=True)
    moves, due = moving(now), Q(oldest_due_at__lte=now)
    states = live.aggregate(
        total=Sum("pending_count", default=0),
        moving=Sum("pending_count", filter=moves, default=0),
        oldest=Min("oldest_due_at", filter=moves & due),
        stuck=Min("oldest_due_at", filter=moves & due & Q(full=False)),
        success=Max("last_success_at"),
        failure=Max("last_failure_at"),
    )
    # what publishers left and no drain has counted yet
    is_live, is_moving = Q(webhook_id__in=live.values("webhook_id")), Q(webhook_id__in=live.filter(moves).values("webhook_id"))
    hints = DueHint.objects.aggregate(
        total=Sum("count", filter=is_live, default=0),
        moving=Sum("count", filter=is_moving, default=0),
        oldest=Min("due_at", filter=is_moving & Q(due_at__lte=now)),
    )
    flights = Lease.objects.aggregate(total=Count("pk"), parked=Count("pk", filter=is_live & ~is_moving))
    pending = states["moving"] + hints["moving"] + flights["parked"]
    return Backlog(
        pending=max(0, pending),
        parked=max(0, states["total"] + hints["total"] - pending),
        in_flight=flights["total"],
        oldest_due_at=_earliest(states["oldest"], hints["oldest"]),
        stuck_since=_earliest(states["stuck"], hints["oldest"]),
        last_attempt_at=max(filter(None, (states["success"], states["failure"])), default=None),
    )


def webhooks_by_status() -> dict[str, int]:
    """Return how many webhooks are active and inactive, deleted ones left out: one statement."""
    rows = Webhook.objects.filter(deleted_at__isnull=True).values_list("status").annotate(Count("id")).order_by()
    return dict.fromkeys(WebhookStatus.values, 0) | dict(rows)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
