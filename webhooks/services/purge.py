"""Removes what deleted webhooks left, in batches small enough never to hold others up."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from core.housekeeping import delete_rows
from integrations.archives import log_archives
from integrations.models import Integration
from webhooks.archiving import archive
from webhooks.engine.due import lock_states
from webhooks.models import DeliveryAttempt, DestinationMemory, DigestEntry, DueHint, Lease, SubjectMark, Webhook, WebhookDelivery

# a publisher whose transaction saw the webhook before it was deleted must have ended: its deliveries refer to the row
GRACE = timedelta(hours=1)
_DELIVERIES_AT_ONCE = 300
_ATTEMPTS_AT_ONCE = 700
_MEMORIES_AT_ONCE = 1000
_WEBHOOKS_AT_ONCE = 100


def purge_deleted_webhooks(limit: int = 50_000) -> int:
    """Remove webhooks deleted an hour ago or earlier, with their deliveries and attempts; return how many rows went.

    At most about `limit` rows, at most 1,000 in a commit. It can be killed and run again at any point.
    """
    gone = Webhook.objects.filter(deleted_at__lt=timezone.now() - GRACE).order_by("deleted_at")
    removed = 0
    archives = log_archives()
    for webhook_id in gone.values_list("id", flat=True)[:_WEBHOOKS_AT_ONCE]:
        while removed < limit:
            count = _purge_log(webhook_id, archives) or _purge_memory(webhook_id)
            removed += count or _remove(webhook_id)
            if not count:
                break
    return removed


def _purge_log(webhook_id: uuid.UUID, archives: Sequence[Integration]) -> int:
    """Remove one batch of a webhook's attempts and deliveries; leased ones stay until their request has ended."""
    kept = None
    if archives:
        first = WebhookDelivery.objects.filter(webhook_id=webhook_id).order_by("id").values_list("id", flat=True)
        kept = archive(archives, list(first[:_DELIVERIES_AT_ONCE]))
    with transaction.atomic():
        lock_states([webhook_id])
        if Lease.objects.filter(webhook_id=webhook_id).exists():
            return 0
        idle = WebhookDelivery.objects.filter(webhook_id=webhook_id).order_by("id")
        if kept is not None:
            idle = idle.filter(id__in=kept.deliveries)
        rows = idle.values_list("id", "attempts", "finished_at")[:_DELIVERIES_AT_ONCE]
        deliveries = [row[0] for row in rows if kept is None or kept.holds(*row)]
        logged = DeliveryAttempt.objects.filter(delivery_id__in=deliveries)
        if kept is not None:
            logged = logged.filter(id__in=kept.attempts)
        attempts = logged.values_list("id", flat=True)[:_ATTEMPTS_AT_ONCE]
        count = DeliveryAttempt.objects.filter(id__in=list(attempts)).delete()[0]
        if count < _ATTEMPTS_AT_ONCE and not (kept is not None and kept.partial):
            count += WebhookDelivery.objects.filter(id__in=deliveries).delete()[0]
    return count


def _purge_memory(webhook_id: uuid.UUID) -> int:
    """Remove one batch of what a webhook's destination remembered, once its deliveries are gone: each may have left a row."""
    if WebhookDelivery.objects.filter(webhook_id=webhook_id).exists():
        return 0
    rows = DestinationMemory.objects.filter(webhook_id=webhook_id).order_by("key").values_list("id", flat=True)
    return delete_rows(DestinationMemory.objects.filter(id__in=list(rows[:_MEMORIES_AT_ONCE])))


def _remove(webhook_id: uuid.UUID) -> int:
    with transaction.atomic():
        lock_states([webhook_id])
        if WebhookDelivery.objects.filter(webhook_id=webhook_id).exists():
            return 0
        for rows in (DueHint.objects, SubjectMark.objects, DigestEntry.objects):
            rows.filter(webhook_id=webhook_id).delete()
        # deferred: secrets that can't be decrypted any more must not keep the row alive
        return Webhook.objects.filter(id=webhook_id).defer("secrets", "headers").delete()[0]
