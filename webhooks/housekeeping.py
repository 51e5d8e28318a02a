"""The housekeeping of deliveries: retention in small batches, and the nets under due times and leases.

A pending delivery is never deleted, however old: it is parked or waits for a retry, and its event stays with it.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from core import runtime
from core.housekeeping import Batch, Job, Step, delete_rows, prune_by_age
from core.ids import first_id_at
from core.models import Event
from integrations.archives import log_archives
from integrations.contract.message import Standing
from webhooks.archiving import MOST_ROWS, archive
from webhooks.choices import DeliveryStatus
from webhooks.engine.due import lock_states, recompute
from webhooks.engine.sweep import lost_holders, sweep
from webhooks.models import (
    DeliveryAttempt,
    DestinationMemory,
    DigestEntry,
    FollowUp,
    Lease,
    SubjectMark,
    Webhook,
    WebhookDelivery,
    WebhookState,
)
from webhooks.services import marks, purge_deleted_webhooks

FINISHED = (DeliveryStatus.CANCELLED, DeliveryStatus.FAILED, DeliveryStatus.SUCCESS)
_STATES_AT_ONCE = 200
MEMORY_DAYS = 400
"""How long destinations remember what is not told of again: more than a year, so that what comes round yearly is known."""


def prune_deliveries(batch: Batch) -> Step:
    """Delete finished deliveries and their attempts after the retention time; attempts first, all within the batch's limit."""
    status, _, after = (batch.cursor or FINISHED[0]).partition(" ")
    finished_before = timezone.now() - timedelta(days=runtime.current().delivery_retention_days)
    # one range of the index on (status, id), so that pending ones are not even looked at
    old = WebhookDelivery.objects.filter(status=status, id__lt=first_id_at(finished_before), finished_at__lt=finished_before)
    old = old.filter(webhook__deleted_at__isnull=True)  # the purge of deleted webhooks has those in hand
    page = old.filter(id__gt=after) if after else old
    ids = list(page.order_by("id").values_list("id", flat=True)[: batch.limit])
    if not ids:
        following = FINISHED.index(DeliveryStatus(status)) + 1
        return Step(0, FINISHED[following] if following < len(FINISHED) else "")
    if batch.dry_run:
        return Step(len(ids), f"{status} {ids[-1]}")
    kept = None
    if archives := log_archives():
        ids = ids[:MOST_ROWS]
        kept = archive(archives, ids)  # before any transaction: these are calls to other systems
    with transaction.atomic():
        # locked and asked again: one that is redelivered at this moment is pending, and stays with its attempts
        rows = old.filter(id__in=ids).order_by("id").select_for_update(skip_locked=True, of=("self",))
        held = list(rows.values_list("id", "attempts", "finished_at"))
        if kept is not None:
            held = [row for row in held if kept.holds(*row)]
        chosen = _within([attempts for _, attempts, _ in held], batch.limit)
        victims = [delivery_id for delivery_id, _, _ in held[:chosen]]
        logged = DeliveryAttempt.objects.filter(delivery_id__in=victims)
        if kept is not None:
            logged = logged.filter(id__in=kept.attempts)
        attempts = list(logged.values_list("id", flat=True)[: batch.limit])
        count = delete_rows(DeliveryAttempt.objects.filter(id__in=attempts))
        if attempts and (len(attempts) == batch.limit or (kept is not None and kept.partial)):
            return Step(count, batch.cursor or status)  # there may be more of them: their deliveries wait for the next batch
        if kept is not None and kept.partial:
            return Step(count, f"{status} {ids[-1]}")  # they changed meanwhile: another run comes back to them
        count += delete_rows(FollowUp.objects.filter(delivery_id__in=victims))
        count += delete_rows(WebhookDelivery.objects.filter(id__in=victims))
    return Step(count, f"{status} {victims[-1] if victims else ids[-1]}")


def _within(attempts: list[int], limit: int) -> int:
    """Return how many of the first deliveries fit a batch together with their attempts; at least one."""
    total, count = 0, 0
    for number in attempts:
        total += number + 1
        if total > limit and count:
            break
        count += 1
    return count


def prune_events(batch: Batch) -> Step:
    """Delete events after their retention time, unless a delivery still refers to them or a digest waits for them."""
    before = timezone.now() - timedelta(days=runtime.current().event_retention_days)
    needed = Exists(WebhookDelivery.objects.filter(event_id=OuterRef("pk"))) | Exists(DigestEntry.objects.filter(event_id=OuterRef("pk")))
    return prune_by_age(Event.objects.filter(~needed), before, batch)


def prune_subjects(batch: Batch) -> Step:
    """Forget what deliveries were the latest word of that don't wait any more: there is nothing left to supersede."""
    rows = SubjectMark.objects.filter(delivery_id__gt=batch.cursor) if batch.cursor else SubjectMark.objects.all()
    page = list(rows.order_by("delivery_id").values_list("delivery_id", flat=True)[: batch.limit])
    waiting = WebhookDelivery.objects.filter(id=OuterRef("delivery_id"), status=DeliveryStatus.PENDING)
    old = SubjectMark.objects.filter(~Exists(waiting), delivery_id__in=page, settled=True)
    count = old.count() if batch.dry_run else delete_rows(old) if page else 0
    return Step(count, str(page[-1]) if len(page) == batch.limit else "")


def prune_memory(batch: Batch) -> Step:
    """Forget what destinations made that nothing was told of for a long time; tickets of what is still open are kept, however old.

    Rows are walked by their ids, so by when they were made: what stays is passed by. What is touched meanwhile stays, too.
    """
    days = max(MEMORY_DAYS, runtime.current().event_retention_days)  # what can still be delivered again is still known
    before = timezone.now() - timedelta(days=days)
    rows = DestinationMemory.objects.filter(id__lt=first_id_at(before))
    page = list((rows.filter(id__gt=batch.cursor) if batch.cursor else rows).order_by("id").values_list("id", flat=True)[: batch.limit])
    if not page:
        return Step(0, "")
    old = DestinationMemory.objects.filter(id__in=page, updated_at__lt=before)
    tickets = set(old.filter(data__standing=Standing.OPEN.value).values_list("id", flat=True))
    old = old.filter(id__in=[one for one in page if one not in tickets])
    count = old.count() if batch.dry_run else delete_rows(old)
    return Step(count, str(page[-1]) if len(page) == batch.limit else "")


def purge_webhooks(batch: Batch) -> Step:
    """Remove what deleted webhooks left behind."""
    if batch.dry_run:
        return Step(Webhook.objects.filter(deleted_at__isnull=False).count())
    rows = purge_deleted_webhooks(batch.limit)
    return Step(rows, "more" if rows >= batch.limit else "")


def reconcile_due_times(batch: Batch) -> Step:
    """Compute anew when each webhook is due next: whatever went wrong with that costs minutes, never a delivery."""
    states = WebhookState.objects.filter(webhook_id__gt=batch.cursor) if batch.cursor else WebhookState.objects.all()
    ids = list(states.order_by("webhook_id").values_list("webhook_id", flat=True)[:_STATES_AT_ONCE])
    if ids and not batch.dry_run:
        with transaction.atomic():
            lock_states(ids)
            recompute(ids)
    return Step(len(ids), str(ids[-1]) if len(ids) == _STATES_AT_ONCE else "")


def mark_calls(batch: Batch) -> Step:
    """Note anew which webhooks need a thread for each delivery: the net under what is noted when an integration is changed."""
    routed = Webhook.objects.filter(integration__isnull=False, deleted_at__isnull=True).select_related("integration")
    page = routed.defer("secrets", "headers", "integration__credentials", "integration__previous_credentials").order_by("id")
    hooks = list((page.filter(id__gt=batch.cursor) if batch.cursor else page)[:_STATES_AT_ONCE])
    changed = 0 if batch.dry_run else marks.mark_calls(hooks)
    return Step(changed, str(hooks[-1].id) if len(hooks) == _STATES_AT_ONCE else "")


def free_orphaned_leases(batch: Batch) -> Step:
    """Free the deliveries of dead workers, as the drains do: so that none stays under way while no drain runs."""
    return Step(Lease.objects.filter(owner__in=lost_holders()).count() if batch.dry_run else sweep())


JOBS = (
    Job("webhooks.deliveries", timedelta(hours=1), "Deletes finished deliveries and their attempts after their time.", prune_deliveries),
    Job("webhooks.subjects", timedelta(hours=1), "Forgets of which sent deliveries a newer one would take the place.", prune_subjects),
    Job("webhooks.events", timedelta(hours=1), "Deletes events after their time, unless a delivery or a digest needs them.", prune_events),
    Job("webhooks.memory", timedelta(days=1), "Forgets what destinations made and nothing was told of for 400 days.", prune_memory),
    Job("webhooks.deleted", timedelta(minutes=10), "Removes what deleted webhooks left behind.", purge_webhooks),
    Job("webhooks.due_times", timedelta(minutes=5), "Computes anew when each webhook is due next.", reconcile_due_times),
    Job("webhooks.calls", timedelta(minutes=5), "Notes which webhooks need a thread for each delivery.", mark_calls),
    Job("webhooks.orphaned_leases", timedelta(minutes=5), "Frees deliveries whose worker is gone without a trace.", free_orphaned_leases),
)
