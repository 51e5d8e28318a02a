"""Frees what dead workers held: their deliveries are sent again, and the log says why."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from core import leases
from core.models import Worker
from webhooks.choices import ErrorClass, Outcome
from webhooks.engine import aftermath
from webhooks.engine.due import lock_states, recompute
from webhooks.models import DeliveryAttempt, Lease, WebhookDelivery
from webhooks.retry import DEFAULT_SCHEDULE, schedule_of

LOST = "The sending process died before the outcome was known; the delivery is sent again, so the receiver may see it twice."


def sweep() -> int:
    """Free the leases of workers without a fresh heartbeat; returns how many deliveries were freed."""
    return sum(_bury(worker_id) for worker_id in lost_holders())


def lost_holders() -> set[uuid.UUID]:
    """Return the workers that hold leases but have no fresh heartbeat, or no row at all."""
    holders = set(Lease.objects.values_list("owner", flat=True).distinct())
    alive = Worker.objects.filter(~leases.lapsed(), id__in=holders).values_list("id", flat=True) if holders else ()
    return holders.difference(alive)


def _bury(worker_id: uuid.UUID) -> int:
    with transaction.atomic():
        row = Worker.objects.filter(id=worker_id)
        # locked and judged again: a worker that was only slow may have renewed its heartbeat meanwhile, or be doing so now
        if row.exists() and not row.filter(leases.lapsed()).select_for_update(skip_locked=True).values_list("id"):
            return 0
        held = Lease.objects.filter(owner=worker_id)
        hooks = set(held.values_list("webhook_id", flat=True))
        lock_states(hooks)
        deliveries = WebhookDelivery.objects.filter(id__in=held.values("delivery_id"))
        lost = list(deliveries.select_related("webhook").defer("webhook__secrets", "webhook__headers"))
        DeliveryAttempt.objects.bulk_create([_lost_attempt(delivery) for delivery in lost], batch_size=500)
        for delivery in lost:
            if delivery.last_error_class == ErrorClass.WORKER_LOST:
                _put_off(delivery)
        deliveries.update(attempts=F("attempts") + 1, last_error_class=ErrorClass.WORKER_LOST, last_error=LOST)
        held.delete()
        recompute(hooks)
        row.delete()
    return len(lost)


def _put_off(delivery: WebhookDelivery) -> None:
    """Send a delivery later that was lost with its worker twice in a row: it may be what kills them."""
    schedule = schedule_of(delivery.webhook.retry_config) or DEFAULT_SCHEDULE
    delay = schedule[min(delivery.step, len(schedule) - 1)]
    WebhookDelivery.objects.filter(id=delivery.id).update(step=F("step") + 1, next_attempt_at=Now() + timedelta(seconds=delay))


def _lost_attempt(delivery: WebhookDelivery) -> DeliveryAttempt:
    now = timezone.now()
    return DeliveryAttempt(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        number=delivery.attempts + 1,
        trigger=delivery.trigger,
        outcome=Outcome.WORKER_LOST,
        started_at=now,
        url=aftermath.shown_url(delivery.webhook.url),
        error_class=ErrorClass.WORKER_LOST,
        error=LOST,
        next_attempt_at=delivery.next_attempt_at,
    )
