"""When a webhook is due next: kept beside it in WebhookState, recomputed from its waiting deliveries at constant cost.

Whoever changes deliveries other than by inserting them locks the state rows first, then changes the deliveries, then
recomputes, all in one transaction. The lock comes in a statement of its own: under READ COMMITTED the later statements then
see everything that was committed while the lock was awaited.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.db import connection

from webhooks.choices import Lane
from webhooks.models import WebhookDelivery, WebhookState
from webhooks.models.delivery import WAITING

RECOMPUTE = """
UPDATE webhooks_webhookstate s
SET oldest_due_at = due.at, "full" = hook.id = ANY(%s::uuid[]),
    next_due_at = CASE WHEN s.enabled AND due.at IS NOT NULL THEN GREATEST(due.at, s.hold_until) END
FROM unnest(%s::uuid[]) AS hook(id)
LEFT JOIN LATERAL (
    SELECT min(first.at) AS at
    FROM (VALUES (0), (1), (2)) AS lane(number)
    CROSS JOIN LATERAL (
        SELECT d.next_attempt_at AS at FROM webhooks_webhookdelivery d
        WHERE d.webhook_id = hook.id AND d.lane = lane.number AND d.status = 'pending'
          AND NOT EXISTS (SELECT 1 FROM webhooks_lease l WHERE l.delivery_id = d.id)
        ORDER BY d.next_attempt_at LIMIT 1
    ) AS first
) AS due ON true
WHERE s.webhook_id = hook.id
"""


def lock_states(webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, WebhookState]:
    """Lock the state rows of these webhooks, in a fixed order; call it inside a transaction."""
    rows = WebhookState.objects.select_for_update().filter(webhook_id__in=webhook_ids).order_by("webhook_id")
    return {state.webhook_id: state for state in rows}


def recompute(webhook_ids: Collection[uuid.UUID], full: Collection[uuid.UUID] = ()) -> None:
    """Set oldest_due_at and next_due_at from the waiting deliveries; only those in `full` are at their concurrency cap.

    Call it with the state rows locked. It reads `enabled` and `hold_until` as they stand in the database.
    """
    if not webhook_ids:
        return
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(RECOMPUTE, [list(full), list(webhook_ids)])
        return
    for state in WebhookState.objects.filter(webhook_id__in=webhook_ids):
        due = oldest_waiting(state.webhook_id)
        following = None
        if due is not None and state.enabled:
            following = max(due, state.hold_until) if state.hold_until else due
        WebhookState.objects.filter(webhook_id=state.webhook_id).update(
            oldest_due_at=due, next_due_at=following, full=state.webhook_id in full
        )


def oldest_waiting(webhook_id: uuid.UUID) -> datetime | None:
    """Return when the first waiting delivery of a webhook is due: three index probes, however many wait."""
    firsts: list[datetime | None] = []
    for lane in Lane.values:
        waiting = WebhookDelivery.objects.filter(WAITING, webhook_id=webhook_id, lane=lane)
        firsts.extend(waiting.order_by("next_attempt_at").values_list("next_attempt_at", flat=True)[:1])
    return min((first for first in firsts if first is not None), default=None)
