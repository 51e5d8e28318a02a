"""The housekeeping of scans: those that are due, decisions whose day has come, and scans whose worker was killed for the last time."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from core.housekeeping import Batch, Job, Step, prune_by_age
from core.models.work import WorkState
from scans import uploads
from scans.announcing import announce_failed
from scans.choices import ScanOutcome
from scans.feeds import starting
from scans.models import FeedRun, RiskAcceptance, Scan
from scans.models.feeds import UNFINISHED
from scans.services.triage import expire
from scans.triggers.schedule import queue_due


def end_decisions(batch: Batch) -> Step:
    """Have findings count again whose accepted risk ran out."""
    if batch.dry_run:
        return Step(RiskAcceptance.due().count())
    ended = expire(batch.limit)
    return Step(ended, "more" if ended == batch.limit else "")


def end_scans(batch: Batch) -> Step:
    """Record and announce scans whose attempts are used up, and remove their reports."""
    lost = Scan.objects.filter(state=WorkState.FAILED, outcome=ScanOutcome.NONE).select_related("repository").order_by("id")
    rows = list(lost[: batch.limit])
    for row in rows if not batch.dry_run else ():
        with transaction.atomic():
            if Scan.objects.filter(pk=row.pk, state=WorkState.FAILED, outcome=ScanOutcome.NONE).update(outcome=ScanOutcome.FAILED):
                uploads.discard(row)
                announce_failed(row, row.error or "Its worker was lost.")
    return Step(len(rows), str(rows[-1].pk) if len(rows) == batch.limit else "")


def refresh_feeds(batch: Batch) -> Step:
    """Have the lists about exploited vulnerabilities read anew, once a day; one that failed at the next run again."""
    return Step(0 if batch.dry_run else starting.refresh_due())


def prune_feed_runs(batch: Batch) -> Step:
    """Remove old refreshes; the state of the lists is kept elsewhere."""
    return prune_by_age(FeedRun.objects.exclude(UNFINISHED), timezone.now() - _FEED_RUNS_KEPT, batch)


_FEED_RUNS_KEPT = timedelta(days=90)
JOBS = [
    Job("scans.decisions", timedelta(minutes=5), "Has findings count again whose accepted risk ran out.", end_decisions),
    Job("scans.due", timedelta(minutes=5), "Queues the scans that are due by their hours.", queue_due),
    Job("scans.lost", timedelta(minutes=5), "Ends scans whose workers were lost too often.", end_scans),
    Job("scans.feeds", timedelta(hours=6), "Reads EPSS scores and CISA's catalogue anew, once a day.", refresh_feeds),
    Job("scans.feed_runs", timedelta(days=1), "Removes refreshes of feeds that are over 90 days old.", prune_feed_runs),
]
