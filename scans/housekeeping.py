"""The housekeeping of scans: those due by their hours, decisions that end, lost scans, gates that time changes, pruning."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from core import runtime
from core.housekeeping import Batch, Job, Step, delete_rows, prune_by_age
from core.models.work import WorkState
from integrations.models import Repository
from scans import uploads
from scans.announcing import announce_failed
from scans.choices import GateCause, ScanOutcome
from scans.feeds import starting
from scans.gates.deciding import decide_again
from scans.gates.policy import in_force_for
from scans.models import ChangedBranch, FeedRun, GateCheck, GateFacts, KnownCommit, RiskAcceptance, Scan
from scans.models.feeds import UNFINISHED
from scans.services import rejudging, removing
from scans.services.triage import expire
from scans.triggers.schedule import queue_due

KEPT_FACTS = 200
_REPOSITORIES_AT_ONCE = 50
_FEED_RUNS_KEPT = timedelta(days=90)


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


def decide_gates(batch: Batch) -> Step:
    """Decide default branches anew whose policy looks at time or at what becomes known of vulnerabilities."""
    later = Repository.objects.filter(id__gt=batch.cursor) if batch.cursor else Repository.objects.all()
    rows = dict(later.order_by("id").values_list("id", "default_branch")[:_REPOSITORIES_AT_ONCE])
    policies = in_force_for(list(rows))
    due = [(id, branch) for id, branch in rows.items() if policies[id].depends_on_time]
    changed = 0 if batch.dry_run else sum(decide_again(id, branch, GateCause.TIME) is not None for id, branch in due)
    return Step(changed, str(max(rows)) if len(rows) == _REPOSITORIES_AT_ONCE else "")


def prune_commits(batch: Batch) -> Step:
    """Forget commits that were announced so long ago that nobody waits for their scan."""
    before = timezone.now() - timedelta(days=runtime.current().commit_retention_days)
    return prune_by_age(KnownCommit.objects.all(), before, batch)


def prune_facts(batch: Batch) -> Step:
    """Delete the facts of a repository's older decisions, some repositories at a time; the decisions stay."""
    after = uuid.UUID(batch.cursor) if batch.cursor else uuid.UUID(int=0)
    near = list(Repository.objects.filter(id__gt=after).order_by("id").values_list("id", flat=True)[:_REPOSITORIES_AT_ONCE])
    many = GateFacts.objects.filter(repository__in=near).order_by().values("repository").annotate(kept=Count("result"))
    busy = many.filter(kept__gt=KEPT_FACTS).order_by("repository").values_list("repository", flat=True).first()
    if busy is None:
        return Step(0, str(near[-1]) if len(near) == _REPOSITORIES_AT_ONCE else "")
    mine = GateFacts.objects.filter(repository=busy).order_by("-result_id")
    ids = list(mine.values_list("result_id", flat=True)[KEPT_FACTS : KEPT_FACTS + batch.limit])
    if batch.dry_run:
        return Step(len(ids), str(busy))
    return Step(delete_rows(GateFacts.objects.filter(result_id__in=ids)), str(after if len(ids) == batch.limit else busy))


def prune_checks(batch: Batch) -> Step:
    """Delete checks that failed for good, after a day: the next decision or scan makes up for them."""
    return prune_by_age(GateCheck.objects.filter(state=WorkState.FAILED), timezone.now() - timedelta(days=1), batch)


def end_removals(batch: Batch) -> Step:
    """Remove what is left of deleted repositories."""
    if batch.dry_run:
        return Step(removing.orphaned_repositories())
    gone = removing.remove_orphans(batch.limit)
    return Step(gone, "more" if gone == batch.limit or removing.orphaned_repositories() else "")


def end_leftovers(batch: Batch) -> Step:
    """Remove findings of scans that were killed for good before they showed them."""
    gone = removing.remove_leftovers(batch.limit, dry_run=batch.dry_run)
    return Step(gone, "more" if gone == batch.limit else "")


def end_changes_of_branches(batch: Batch) -> Step:
    """Bring the states of findings in line with a changed default branch."""
    if batch.dry_run:
        return Step(ChangedBranch.objects.count())
    done = rejudging.rejudge(batch.limit)
    return Step(done, "more" if ChangedBranch.objects.exists() else "")


def refresh_feeds(batch: Batch) -> Step:
    """Have the lists about exploited vulnerabilities read anew, once a day; one that failed at the next run again."""
    return Step(0 if batch.dry_run else starting.refresh_due())


def prune_feed_runs(batch: Batch) -> Step:
    """Remove old refreshes; the state of the lists is kept elsewhere."""
    return prune_by_age(FeedRun.objects.exclude(UNFINISHED), timezone.now() - _FEED_RUNS_KEPT, batch)


JOBS = [
    Job("scans.decisions", timedelta(minutes=5), "Has findings count again whose accepted risk ran out.", end_decisions),
    Job("scans.gates", timedelta(hours=1), "Decides gates of default branches anew that time or news changed.", decide_gates),
    Job("scans.gate_checks", timedelta(hours=1), "Deletes checks of gates that failed for good, after a day.", prune_checks),
    Job(
        "scans.gate_facts",
        timedelta(hours=1),
        f"Deletes what gates were decided on but the last {KEPT_FACTS} of a repository.",
        prune_facts,
    ),
    Job("scans.known_commits", timedelta(hours=6), "Forgets pushed commits after their retention time.", prune_commits),
    Job("scans.due", timedelta(minutes=5), "Queues the scans that are due by their hours.", queue_due),
    Job("scans.lost", timedelta(minutes=5), "Ends scans whose workers were lost too often.", end_scans),
    Job("scans.feeds", timedelta(hours=6), "Reads EPSS scores and CISA's catalogue anew, once a day.", refresh_feeds),
    Job("scans.feed_runs", timedelta(days=1), "Removes refreshes of feeds that are over 90 days old.", prune_feed_runs),
    Job("scans.branches", timedelta(minutes=5), "Has findings be open or not by a changed default branch.", end_changes_of_branches),
    Job("scans.removed", timedelta(minutes=5), "Removes the findings of deleted repositories.", end_removals),
    Job("scans.leftovers", timedelta(hours=1), "Removes findings that were never shown because their scan was lost.", end_leftovers),
]
