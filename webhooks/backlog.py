"""What waits, over all webhooks, at a cost that depends on the number of webhooks but never on that of deliveries.

It adds up what selectors.stats() says of one webhook: the due deliveries of a webhook that is switched off or held (it keeps
failing, or asked to wait) are parked, all others that are not finished are pending. Deleted webhooks don't count.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q, Sum
from django.utils import timezone

from webhooks.choices import Lane, WebhookStatus
from webhooks.holds import held
from webhooks.models import DueHint, Lease, Webhook, WebhookDelivery, WebhookState
from webhooks.models.delivery import WAITING

LATER_COUNTED = 10_000


@dataclass(frozen=True)
class Backlog:
    """The deliveries that are not finished, and when the engine last recorded an attempt."""

    pending: int
    parked: int
    in_flight: int
    oldest_due_at: datetime | None
    """When the longest waiting delivery became due that is not parked; None where nothing is overdue."""
    stuck_since: datetime | None
    """The same, but only for webhooks that could take more: one at its own rate limit or concurrency cap is not the engine's fault."""
    last_attempt_at: datetime | None


def backlog() -> Backlog:
    """Return what waits now: four statements."""
    now = timezone.now()
    live = WebhookState.objects.filter(webhook__deleted_at__isnull=True)
    holds = held(now)
    free = ~holds & Q(full=False) & (Q(hold_until__isnull=True) | Q(hold_until__lte=now))
    # what publishers left and no drain has counted yet; read first, so that a fold in between counts twice rather than not at all
    is_live, is_held = Q(webhook_id__in=live.values("webhook_id")), Q(webhook_id__in=live.filter(holds).values("webhook_id"))
    hints = DueHint.objects.aggregate(
        total=Sum("count", filter=is_live, default=0),
        held=Sum("count", filter=is_held, default=0),
        oldest=Min("due_at", filter=is_live & ~is_held & Q(due_at__lte=now)),
    )
    states = live.aggregate(
        total=Sum("pending_count", default=0),
        held=Sum("pending_count", filter=holds, default=0),
        oldest=Min("oldest_due_at", filter=~holds & Q(oldest_due_at__lte=now)),
        stuck=Min("oldest_due_at", filter=free & Q(oldest_due_at__lte=now)),
        success=Max("last_success_at"),
        failure=Max("last_failure_at"),
    )
    flights = Lease.objects.aggregate(total=Count("pk"), held=Count("pk", filter=is_held))
    total = max(0, states["total"] + hints["total"])
    parked = states["held"] + hints["held"]
    if parked:
        parked = max(0, parked - flights["held"] - not_due_yet(is_held, now))
    return Backlog(
        pending=max(0, total - parked),
        parked=parked,
        in_flight=flights["total"],
        oldest_due_at=_earliest(states["oldest"], hints["oldest"]),
        stuck_since=_earliest(states["stuck"], hints["oldest"]),
        last_attempt_at=max(filter(None, (states["success"], states["failure"])), default=None),
    )


def not_due_yet(webhooks: Q, now: datetime) -> int:
    """Return how many deliveries of these webhooks wait for a later time; no more than LATER_COUNTED are looked at."""
    # with the lane it is one range of the index of waiting deliveries for each
    later = WebhookDelivery.objects.filter(WAITING, webhooks, lane__in=Lane.values, next_attempt_at__gt=now)
    return later.values("pk")[:LATER_COUNTED].count()


def webhooks_by_status() -> dict[str, int]:
    """Return how many webhooks are active and inactive, deleted ones left out: one statement."""
    rows = Webhook.objects.filter(deleted_at__isnull=True).values_list("status").annotate(Count("id")).order_by()
    return dict.fromkeys(WebhookStatus.values, 0) | dict(rows)


def _earliest(*moments: datetime | None) -> datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)
