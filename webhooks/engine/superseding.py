"""Cancels waiting deliveries that a newer one made void, or that waited too long: a step of its own, between the claims.

It locks the webhook's state as a claim does, so that nothing is leased meanwhile; what is leased is left alone. A cancelled
delivery says why, and can be redelivered.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

from django.db import transaction
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from core import metrics
from core.ids import first_id_at
from webhooks.choices import DeliveryStatus, ErrorClass, Trigger
from webhooks.engine.aftermath import DELIVERIES
from webhooks.engine.due import lock_states, recompute
from webhooks.models import Lease, SubjectMark, Webhook, WebhookDelivery, WebhookState
from webhooks.models.delivery import WAITING
from webhooks.queue_rows import NewDelivery

SENTENCES = {
    ErrorClass.SUPERSEDED: "A newer event about the same came before it was sent, so it was cancelled. Redeliver it to send it still.",
    ErrorClass.EXPIRED: "It waited longer than its webhook allows (expires_after), so it was cancelled. Redeliver it to send it still.",
}
_KEYS_AT_ONCE = 500
_MARKS_AT_ONCE = 2000
_DELIVERIES_AT_ONCE = 1000
PORTION_SECONDS = 0.5
"""The engine's database thread does this between claims and its heartbeat, so webhooks that follow wait for the next portion."""
# ids carry the time of the machine that published, which may be ahead of the database's
_CLOCKS = timedelta(minutes=1)


def supersede_next() -> bool:
    """Work off the new deliveries of one webhook with `supersede`; False where nothing was left to do.

    The latest of a subject is the one of the latest event. The others are cancelled while they wait; one whose request is under way
    is looked at again, for it may come back to wait for a retry.
    """
    done, until = False, monotonic() + PORTION_SECONDS
    for webhook_id in list(SubjectMark.objects.filter(settled=False).values_list("webhook_id", flat=True).distinct()[:_KEYS_AT_ONCE]):
        done |= _supersede(webhook_id)
        if done and monotonic() >= until:
            break
    return done


def _supersede(webhook_id: uuid.UUID) -> bool:
    marks = SubjectMark.objects.filter(webhook_id=webhook_id)
    with transaction.atomic():
        lock_states([webhook_id])
        keys = set(marks.filter(settled=False).values_list("key", flat=True)[:_KEYS_AT_ONCE])
        latest: dict[str, uuid.UUID] = {}
        older: dict[uuid.UUID, str] = {}
        newest_first = marks.filter(key__in=keys).order_by("-delivery_id").values_list("key", "delivery_id")
        seen = list(newest_first[:_MARKS_AT_ONCE])  # of each key the latest, or none of it
        for key, delivery_id in seen:
            if latest.setdefault(key, delivery_id) != delivery_id:
                older[delivery_id] = key
        for delivery_id in list(older)[_DELIVERIES_AT_ONCE:]:  # for the next look, to which their subject stays open
            latest.pop(older.pop(delivery_id), None)
        if len(seen) == _MARKS_AT_ONCE:  # more may follow of any of them
            latest.clear()
        cancelled = _cancel(webhook_id, WebhookDelivery.objects.filter(id__in=older), ErrorClass.SUPERSEDED)
        under_way = set(Lease.objects.filter(delivery_id__in=older).values_list("delivery_id", flat=True))
        looked_at, _ = marks.filter(delivery_id__in=older.keys() - under_way).delete()
        settled = marks.filter(delivery_id__in=latest.values(), settled=False).update(settled=True)
        marks.filter(delivery_id__in=under_way).update(settled=False)
    return bool(cancelled or settled or looked_at)


def expire_next() -> bool:
    """Cancel what waited too long at the webhooks with `expires_after`; says whether there was anything."""
    pending = WebhookDelivery.objects.filter(webhook_id=OuterRef("pk"), status=DeliveryStatus.PENDING, trigger=Trigger.AUTO)
    hooks = Webhook.objects.filter(expires_after__isnull=False, deleted_at__isnull=True)
    oldest = Subquery(pending.order_by("id").values("created_at")[:1])
    done, until = False, monotonic() + PORTION_SECONDS
    for webhook_id, seconds, created_at, now in hooks.annotate(oldest=oldest, now=Now()).values_list(
        "id", "expires_after", "oldest", "now"
    ):
        if created_at is not None and seconds is not None and created_at < now - timedelta(seconds=seconds):
            done |= _expire(webhook_id, seconds)
            if done and monotonic() >= until:
                break
    return done


def _expire(webhook_id: uuid.UUID, seconds: int) -> bool:
    with transaction.atomic():
        lock_states([webhook_id])
        # a range of the index of a webhook's pending deliveries, which are ordered by their ids
        bound = first_id_at(timezone.now() - timedelta(seconds=seconds) + _CLOCKS)
        old = WebhookDelivery.objects.filter(WAITING, webhook_id=webhook_id, id__lt=bound, trigger=Trigger.AUTO)
        old = old.filter(created_at__lt=Now() - timedelta(seconds=seconds))
        ids = list(old.order_by("id").values_list("id", flat=True)[:_DELIVERIES_AT_ONCE])
        return bool(_cancel(webhook_id, WebhookDelivery.objects.filter(id__in=ids), ErrorClass.EXPIRED))


def _cancel(webhook_id: uuid.UUID, deliveries: QuerySet[WebhookDelivery], reason: ErrorClass) -> int:
    """Cancel those that wait and that nobody asked for by hand. Call it with the webhook's state locked."""
    count = deliveries.filter(WAITING, trigger=Trigger.AUTO).update(
        status=DeliveryStatus.CANCELLED,
        next_attempt_at=None,
        finished_at=Now(),
        last_error_class=reason,
        last_error=SENTENCES[reason],
    )
    if count:
        state = WebhookState.objects.filter(webhook_id=webhook_id)
        state.update(pending_count=F("pending_count") - count, cancelled_count=F("cancelled_count") + count)
        recompute([webhook_id])
        _measure(count)
    return count


def record_superseded(deliveries: Sequence[NewDelivery]) -> None:
    """Insert deliveries of one webhook that were void before they could wait. Call it with the webhook's state locked."""
    if not deliveries:
        return
    WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            webhook_id=one.webhook_id,
            event_id=one.event_id,
            event_type=one.event_type,
            owner_id=one.owner_id,
            lane=one.lane,
            trigger=one.trigger,
            status=DeliveryStatus.CANCELLED,
            finished_at=Now(),
            last_error_class=ErrorClass.SUPERSEDED,
            last_error=SENTENCES[ErrorClass.SUPERSEDED],
        )
        for one in deliveries
    )
    state = WebhookState.objects.filter(webhook_id=deliveries[0].webhook_id)
    state.update(cancelled_count=F("cancelled_count") + len(deliveries))
    _measure(len(deliveries))


def _measure(count: int) -> None:
    metrics.add({(DELIVERIES, metrics.labels(outcome=DeliveryStatus.CANCELLED.value)): count})
