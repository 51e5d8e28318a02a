"""Starting requests for missed deliveries: by people, when a silent source speaks again, and every hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import context, runtime, work_registry
from core.errors import Conflict, InvalidInput, RepoGuardError
from core.housekeeping import Batch, Job, Step
from core.models.work import WorkState
from integrations.choices import Status
from webhooks.inbound.backfilling import KIND_NAME
from webhooks.inbound.missed import backfillers, hindrance, last_backfill
from webhooks.inbound.selectors import live_sources
from webhooks.models import InboundBackfill, InboundSource
from webhooks.models.backfill import UNFINISHED

EVERY = timedelta(hours=1)
AFTER_FAILURE = timedelta(days=1)
"""What was refused is tried again by itself so much later."""
OVERLAP = timedelta(minutes=15)
"""So much of what the last look saw is looked at again: it may have been on its way then."""
_MOST_ATTEMPTS = 5
_AT_ONCE = 100


def request_backfill(source: InboundSource, since: datetime | None = None, *, automatic: bool = False) -> InboundBackfill:
    """Have a worker request what the source missed since then, at most and by default since as long as its platform can send it again.

    Raises InvalidInput, and Conflict where the source is not set up for it, is inactive, or has such a request going on.
    """
    now = timezone.now()
    if since is not None and since >= now:
        raise InvalidInput.of("since", "must lie in the past.")
    with transaction.atomic():
        # of one source two requests take turns here
        row = live_sources().select_for_update(no_key=True, of=("self",)).filter(id=source.pk).first()
        if row is None:
            raise Conflict("This inbound source was deleted meanwhile.", code="source_deleted")
        _check(row)
        earliest = earliest_of(row, now)
        made = InboundBackfill.objects.create(
            source=row, owner_id=row.owner_id, since=max(since or earliest, earliest), automatic=automatic, max_attempts=_MOST_ATTEMPTS,
            started_by="" if automatic else context.actor().label[:200],
        )  # fmt: skip
        if not automatic:
            audit.record(AuditVerb.ACTED, row, action="backfill", changes={"since": [None, made.since]}, owner_id=row.owner_id)
        work_registry.wake(KIND_NAME)
    made.refresh_from_db(fields=["created_at"])
    return made


def earliest_of(source: InboundSource, now: datetime) -> datetime:
    """Return from when on missed deliveries are looked for: before, receipts may have been deleted, and are no sign."""
    kept = timedelta(days=min(backfillers()[source.provider].backfill_days, runtime.current().receipt_retention_days))
    return max(now - kept + OVERLAP, source.created_at)


def request_by_itself(source: InboundSource, since: datetime) -> bool:
    """Request what a source missed if it is set up for that and nothing stands against it; returns whether it was."""
    try:
        request_backfill(source, since, automatic=True)
    except RepoGuardError:
        return False
    return True


def backfill_sources(batch: Batch) -> Step:
    """Request what the next few sources missed, of those that are set up for it."""
    rows = live_sources().filter(active=True, integration__status=Status.ACTIVE, provider__in=backfillers()).order_by("id")
    page = list((rows.filter(id__gt=batch.cursor) if batch.cursor else rows)[:_AT_ONCE])
    now = timezone.now()
    due = [(source, since) for source in page if (since := _due_since(source, now)) is not None]
    count = len(due) if batch.dry_run else sum(request_by_itself(source, since) for source, since in due)
    return Step(count, str(page[-1].pk) if len(page) == _AT_ONCE else "")


def _due_since(source: InboundSource, now: datetime) -> datetime | None:
    """Return from when on to look, None where it is not the time."""
    if hindrance(source):
        return None
    last = last_backfill(source)
    if last is None:
        return earliest_of(source, now)
    if last.finished_at is None or (last.state == WorkState.FAILED and now - last.finished_at < AFTER_FAILURE):
        return None
    return last.since if last.more or last.state == WorkState.FAILED else last.created_at - OVERLAP


def _check(source: InboundSource) -> None:
    if sentence := hindrance(source):
        raise Conflict(f"Missed deliveries can't be requested yet. {sentence}", code="backfill_not_set_up")
    if not source.active:
        raise Conflict("The source is switched off: it would refuse what is sent again. Enable it first.", code="source_inactive")
    if InboundBackfill.objects.filter(UNFINISHED, source_id=source.pk).exists():
        raise Conflict("Missed deliveries are being requested already. Wait until that is done.", code="backfill_running")


JOBS = (Job("webhooks.inbound_backfill", EVERY, "Requests what inbound sources missed, where they are set up for it.", backfill_sources),)
