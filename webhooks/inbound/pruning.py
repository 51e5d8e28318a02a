"""Retention of receipts, and what deleted sources left."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from core import runtime
from core.housekeeping import Batch, Job, Step, delete_rows, prune_by_age
from core.ids import first_id_at
from core.models.work import WorkState
from webhooks.inbound.alarms import watch_sources
from webhooks.models import InboundBackfill, InboundSource, Receipt, ReceiptPart, SettledBody

# a request that saw the source before it was deleted must have ended
GRACE = timedelta(hours=1)
_ENDED = (WorkState.DONE, WorkState.FAILED)


def prune_receipts(batch: Batch) -> Step:
    """Delete receipts after their retention time, with the parts of large bodies; one that still waits stays."""
    before = timezone.now() - timedelta(days=runtime.current().receipt_retention_days)
    old = Receipt.objects.filter(id__lt=first_id_at(before), state__in=_ENDED)
    if batch.cursor:
        old = old.filter(id__gt=batch.cursor)
    ids = list(old.order_by("id").values_list("id", flat=True)[: batch.limit])
    if not ids:
        return Step()
    if batch.dry_run:
        return Step(len(ids), str(ids[-1]) if len(ids) == batch.limit else "")
    count, whole = _delete(ids, batch.limit)
    if not whole:
        return Step(count, batch.cursor or str(uuid.UUID(int=0)))
    return Step(count, str(ids[-1]) if len(ids) == batch.limit else "")


def prune_backfills(batch: Batch) -> Step:
    """Delete ended requests for missed deliveries with the receipts of their time."""
    before = timezone.now() - timedelta(days=runtime.current().receipt_retention_days)
    return prune_by_age(InboundBackfill.objects.filter(state__in=_ENDED), before, batch)


def prune_bodies(batch: Batch) -> Step:
    """Forget which bodies became events with the receipts of their time."""
    before = timezone.now() - timedelta(days=runtime.current().receipt_retention_days)
    return prune_by_age(SettledBody.objects.all(), before, batch)


def purge_sources(batch: Batch) -> Step:
    """Remove what deleted sources left: first their receipts, then the rows."""
    gone = InboundSource.objects.filter(deleted_at__lt=timezone.now() - GRACE)
    sources = list(gone.order_by("id").values_list("id", flat=True)[:100])
    if batch.dry_run or not sources:
        return Step(len(sources))
    ids = list(Receipt.objects.filter(source_id__in=sources, state__in=_ENDED).order_by("id").values_list("id", flat=True)[: batch.limit])
    if ids:
        return Step(_delete(ids, batch.limit)[0], "more")
    if Receipt.objects.filter(source_id__in=sources).exists():
        return Step()  # some wait for a worker, which finds that their source is gone
    bodies = list(SettledBody.objects.filter(source_id__in=sources).values_list("id", flat=True)[: batch.limit])
    if bodies:
        return Step(delete_rows(SettledBody.objects.filter(id__in=bodies)), "more")
    InboundBackfill.objects.filter(source_id__in=sources).delete()
    return Step(delete_rows(InboundSource.objects.filter(id__in=sources)), "more" if len(sources) == 100 else "")


def _delete(ids: list[uuid.UUID], limit: int) -> tuple[int, bool]:
    """Delete receipts, their parts first and all within the limit; return how many rows went, and whether the receipts did."""
    with transaction.atomic():
        parts = list(ReceiptPart.objects.filter(receipt_id__in=ids).order_by("pk").values_list("pk", flat=True)[:limit])
        count = delete_rows(ReceiptPart.objects.filter(pk__in=parts)) if parts else 0
        if len(parts) == limit:
            return count, False  # there may be more of them: their receipts wait for the next batch
        # asked again: one that is interpreted anew at this moment stays
        return count + delete_rows(Receipt.objects.filter(id__in=ids, state__in=_ENDED)), True


JOBS = (
    Job("webhooks.receipts", timedelta(hours=1), "Deletes inbound requests after their time.", prune_receipts),
    Job("webhooks.inbound_backfills", timedelta(days=1), "Deletes ended requests for missed deliveries after their time.", prune_backfills),
    Job(
        "webhooks.inbound_bodies",
        timedelta(hours=1),
        "Forgets which bodies became events, after their time.",
        prune_bodies,
    ),
    Job("webhooks.inbound_deleted", timedelta(minutes=10), "Removes what deleted inbound sources left behind.", purge_sources),
    Job("webhooks.inbound_watch", timedelta(minutes=5), "Announces silent inbound sources and bursts of refused requests.", watch_sources),
)
