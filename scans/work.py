"""A scan as claimable work: pulled page by page or uploaded, read whole, then written and announced in one transaction under the lease."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import cast

from django.db import transaction
from django.utils import timezone

from core import work_registry
from core.errors import RepoGuardError
from core.garbage import rarely_collected
from core.limited import LIMITS, put_aside
from core.models.work import WorkState
from core.work import Done, Later, LeaseLost, Run
from core.work_registry import Kind
from scans import uploads
from scans.announcing import announce_ended, announce_failed, announce_started
from scans.choices import ScanOutcome
from scans.formats import detect
from scans.gates.deciding import decide
from scans.ingest.reading import Report, read_report
from scans.ingest.repeated import find_same, write_same
from scans.ingest.settling import Written
from scans.ingest.tables import count_anew
from scans.ingest.writing import write_report
from scans.kinds import KIND_NAME
from scans.models import Scan, Stream
from scans.models.scan import GOING_ON
from scans.pulling.sync import note_sync
from scans.pulling.work import pull, read_pulled

logger = logging.getLogger(__name__)
_WAIT_SECONDS = 30.0
"""The scan before it wakes this one; the wait is for where that one's worker dies."""


@rarely_collected()
def work_off(run: Run) -> Later | Done | None:
    """Pull or read, and write, one scan; run again after a kill it goes on, and after it ended it does nothing."""
    scan = cast("Scan", run.row)
    if scan.outcome != ScanOutcome.NONE:
        return None
    try:
        if scan.pulled and (later := pull(run)):
            return later
        if _others_turn(scan):
            return Later(_WAIT_SECONDS, "Waits for an earlier scan of this repository.")
        if not scan.pulled:
            _begin(run, scan)
            if earlier := find_same(scan):
                write_same(scan, earlier, partial(_finish, run, scan, None))
                return None
        report = read_pulled(run) if scan.pulled else _read_upload(run, scan)
    except LIMITS as error:
        return put_aside(error)
    except RepoGuardError as error:
        if not error.permanent and scan.attempts < scan.max_attempts:
            raise
        _fail(run, scan, error.message)
        return Done(error.message)
    try:
        written = write_report(scan, report, partial(_finish, run, scan, report))
    finally:
        report.spool.close()
    count_anew(len(written.new))
    return None


def _others_turn(scan: Scan) -> bool:
    """Say whether an earlier report is not written yet: what a later one says must not be overwritten by it."""
    earlier = Scan.objects.filter(GOING_ON, repository_id=scan.repository_id, turn__lt=scan.turn or scan.id)
    return earlier.exclude(pk=scan.pk).exists()


def _begin(run: Run, scan: Scan) -> None:
    if scan.started_at is not None:
        return
    with transaction.atomic():
        scan.started_at = timezone.now()
        _update(run, scan, started_at=scan.started_at)
        announce_started(scan)


def _read_upload(run: Run, scan: Scan) -> Report:
    with uploads.opened(scan) as source:
        items = detect.find(scan.format)().read(source)
        return read_report(items, scan.repository_id, scan.category, seen=partial(_progress, run, scan))


def _progress(run: Run, scan: Scan, read: int) -> None:
    run.save_progress({"read": read})


def _finish(run: Run, scan: Scan, report: Report | None, written: Written) -> None:
    """Record how it ended, in the transaction that makes the findings visible. Raises LeaseLost, which undoes them."""
    count, problems = (report.problem_count, report.problems) if report else (0, [])
    scan.outcome = ScanOutcome.PARTIAL if count else ScanOutcome.COMPLETED
    scan.tools, scan.sections = written.tools, written.sections
    scan.total, scan.new, scan.fixed, scan.reopened = written.total, len(written.new), len(written.fixed), len(written.reopened)
    scan.by_severity = dict(written.by_severity)
    scan.problem_count, scan.problems = count, [asdict(problem) for problem in problems]
    names = ("outcome", "tools", "sections", "total", "new", "fixed", "reopened", "by_severity", "problem_count", "problems")
    _update(run, scan, **{name: getattr(scan, name) for name in names})
    uploads.discard(scan)
    if report:
        note_sync(scan, report)
    # where no tool ever said anything about the ref, nothing is known of it: a gate that passes would be made up
    result = decide(scan) if scan.tools or Stream.objects.filter(repository_id=scan.repository_id, ref=scan.ref).exists() else None
    announce_ended(scan, written, result)
    _release_next(scan)


def _fail(run: Run, scan: Scan, sentence: str) -> None:
    with transaction.atomic():
        scan.outcome = ScanOutcome.FAILED
        problems = [{"where": "report", "sentence": sentence}]
        _update(run, scan, outcome=scan.outcome, problem_count=1, problems=problems)
        uploads.discard(scan)
        announce_failed(scan, sentence)
        _release_next(scan)


def _release_next(scan: Scan) -> None:
    """Have what waits for this scan run as soon as this transaction commits: the next in turn, and the next of the same branch."""
    queued = Scan.objects.filter(GOING_ON, repository_id=scan.repository_id, state=WorkState.QUEUED).exclude(pk=scan.pk)
    following = queued.filter(turn__gt=scan.turn or scan.id).order_by("turn").values_list("id", flat=True)[:1]
    same = queued.filter(started_at__isnull=True, integration=scan.integration_id, ref=scan.ref).values_list("id", flat=True)
    if ids := [*following, *(same if scan.integration_id else ())]:
        Scan.objects.filter(id__in=ids, state=WorkState.QUEUED).update(run_after=timezone.now())
        work_registry.wake(KIND_NAME)


def _update(run: Run, scan: Scan, **changes: object) -> None:
    held = Scan.objects.filter(pk=scan.pk, state=WorkState.RUNNING, lease_token=run.token)
    if not held.update(**changes):
        raise LeaseLost(str(scan.pk))


KIND = Kind(KIND_NAME, Scan, work_off)
