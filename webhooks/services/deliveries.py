"""Sending tests, sending deliveries again, cancelling them.

Whoever changes a delivery locks its webhook's state row first, then changes the delivery under a condition, then recomputes
when the webhook is due: the same order as the engine's, so the two never deadlock.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Exists, F
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import bus, metrics
from core.bus import Announcement
from core.errors import Conflict, InvalidInput
from core.event_types import MAX_NAME, catalogue
from core.fields import JSONValue
from webhooks import queue_rows
from webhooks.choices import DeliveryStatus, HoldReason, Lane, Trigger, WebhookStatus
from webhooks.engine.aftermath import DELIVERIES
from webhooks.engine.due import lock_states, recompute
from webhooks.events import TEST_TYPE, about_webhook
from webhooks.models import Lease, Webhook, WebhookDelivery, WebhookState
from webhooks.queue_rows import NewDelivery

COUNTERS = {
    DeliveryStatus.PENDING: "pending_count",
    DeliveryStatus.SUCCESS: "success_count",
    DeliveryStatus.FAILED: "failed_count",
    DeliveryStatus.CANCELLED: "cancelled_count",
}


def send_test(webhook: Webhook, event_type: str | None = None) -> WebhookDelivery:
    """Send a `webhook.test` event, or the example of `event_type`, to this webhook only, through the same engine.

    Filter, owner and repositories are not asked. Raises InvalidInput for an unknown type, Conflict when it is inactive.
    """
    name, data = _sample(webhook, event_type)
    with transaction.atomic():
        status = Webhook.objects.filter(id=webhook.id, deleted_at__isnull=True).values_list("status", flat=True).first()
        if status != WebhookStatus.ACTIVE:
            raise Conflict("The webhook is inactive: a test would be parked. Enable it first.", code="webhook_inactive")
        event = bus.record(Announcement(name, data, owner_id=webhook.owner_id))
        new = NewDelivery(webhook.id, event.id, event.type, webhook.owner_id, Lane.HIGH, Trigger.TEST)
        delivery_id = queue_rows.insert([new])[0]
        audit.record(AuditVerb.ACTED, webhook, action="test", changes={"event_type": [None, name]}, owner_id=webhook.owner_id)
        transaction.on_commit(bus.wake)
        return WebhookDelivery.objects.select_related("event").get(id=delivery_id)


def redeliver(delivery: WebhookDelivery) -> WebhookDelivery:
    """Send a delivery again now, before others, from the start of its schedule; a waiting one becomes due now.

    The event keeps its id. A hold after failures ends, so that it is tried at once. Of an inactive webhook it is parked until
    that is enabled. Raises Conflict while its request is under way, and when its webhook was deleted.
    """
    with transaction.atomic():
        _lock(delivery)
        now = timezone.now()
        current = _current(delivery)
        again: dict[str, Any] = {"trigger": Trigger.MANUAL, "lane": Lane.HIGH, "step": 0, "next_attempt_at": now}
        if current.status != DeliveryStatus.PENDING:
            again |= {"status": DeliveryStatus.PENDING, "finished_at": None}
        _change(current, again)
        _count(current, DeliveryStatus.PENDING)
        _end_hold(current)
        recompute([current.webhook_id])
        audit.record(AuditVerb.ACTED, current, action="redeliver", owner_id=current.owner_id)
        transaction.on_commit(bus.wake)
        return _reloaded(current)


def cancel(delivery: WebhookDelivery) -> WebhookDelivery:
    """Give a waiting delivery up. Raises Conflict when it has ended or its request is under way."""
    with transaction.atomic():
        _lock(delivery)
        current = _current(delivery)
        if current.status != DeliveryStatus.PENDING:
            raise Conflict(f"Only a pending delivery can be cancelled; this one is {current.status}.", code="not_pending")
        _change(current, {"status": DeliveryStatus.CANCELLED, "next_attempt_at": None, "finished_at": timezone.now()})
        _count(current, DeliveryStatus.CANCELLED)
        recompute([current.webhook_id])
        audit.record(AuditVerb.ACTED, current, action="cancel", owner_id=current.owner_id)
        ended = _reloaded(current)
        metrics.add({(DELIVERIES, metrics.labels(outcome=DeliveryStatus.CANCELLED.value)): 1})
        return ended


def _sample(webhook: Webhook, event_type: str | None) -> tuple[str, JSONValue]:
    if event_type in (None, "", TEST_TYPE):
        about = about_webhook(webhook)
        return TEST_TYPE, {"message": "This is a test of RepoGuard.", **about}
    found = catalogue.types.get(event_type) or catalogue.find(event_type)
    if found is None:
        raise InvalidInput.of(
            "event_type",
            f"{event_type[:MAX_NAME]!r} is not a known event type; GET /api/v1/event-types lists them.",
            code="unknown_event_type",
        )
    return (found.example_name if event_type == found.name else event_type), found.example


def _lock(delivery: WebhookDelivery) -> None:
    lock_states([delivery.webhook_id])
    if not Webhook.objects.filter(id=delivery.webhook_id, deleted_at__isnull=True).exists():
        raise Conflict("The webhook of this delivery was deleted.", code="webhook_deleted")


def _current(delivery: WebhookDelivery) -> WebhookDelivery:
    current = WebhookDelivery.objects.filter(id=delivery.id).first()
    if current is None:
        raise Conflict("This delivery was deleted meanwhile.", code="delivery_deleted")
    return current


def _change(delivery: WebhookDelivery, fields: dict[str, Any]) -> None:
    """Change a delivery that is in the state it was read in, and not under way."""
    unchanged = WebhookDelivery.objects.filter(
        ~Exists(Lease.objects.filter(delivery_id=delivery.id)), id=delivery.id, status=delivery.status
    )
    if not unchanged.update(**fields):
        raise Conflict("The request of this delivery is under way; wait until it has ended.", code="under_way", retry_after=1)


def _count(delivery: WebhookDelivery, status: DeliveryStatus) -> None:
    """Move the delivery from the counter of its old status to that of `status`."""
    if delivery.status != status:
        old, new = COUNTERS[DeliveryStatus(delivery.status)], COUNTERS[status]
        WebhookState.objects.filter(webhook_id=delivery.webhook_id).update(**{old: F(old) - 1, new: F(new) + 1})


def _end_hold(delivery: WebhookDelivery) -> None:
    """End a hold, but not the breaker: with one request in the open it stays a probe, and a rate limit goes on counting."""
    states = WebhookState.objects.filter(webhook_id=delivery.webhook_id).exclude(hold_reason=HoldReason.RATE_LIMIT)
    states.update(hold_until=None, hold_reason=HoldReason.NONE)


def _reloaded(delivery: WebhookDelivery) -> WebhookDelivery:
    return WebhookDelivery.objects.select_related("event").get(id=delivery.id)
