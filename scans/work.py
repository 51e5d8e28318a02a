"""A scan as claimable work: read whole, then written and announced in one transaction under the lease."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import cast

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core import work_registry
from core.errors import RepoGuardError
from core.models.work import WorkState
from core.work import Done, Later, LeaseLost, Run
from core.work_registry import Kind
from scans import uploads
from scans.announcing import announce_ended, announce_failed, announce_started
from scans.choices import ScanOutcome
from scans.formats import detect
from scans.gates.deciding import decide
from scans.ingest.reading import Report, read_report
from scans.ingest.settling import Written
from scans.ingest.writing import write_report
from scans.models import Scan
from scans.services.starting import KIND_NAME

logger = logging.getLogger(__name__)
_WAIT_SECONDS = 30.0
"""The scan before it wakes this one; the wait is for where that one's worker dies."""
_GOING_ON = Q(state__in=[WorkState.QUEUED, WorkState.RUNNING])


def work_off(run: Run) -> Later | Done | None:
    """Read and write one scan; run again after a kill it goes on, and after it ended it does nothing."""
    scan = cast("Scan", run.row)
    if scan.outcome != ScanOutcome.NONE:
        return None
    if Scan.objects.filter(_GOING_ON, repository_id=scan.repository_id, id__lt=scan.id).exists():
        # what a later report says must not be overwritten by an earlier one
        return Later(_WAIT_SECONDS, "Waits for an earlier scan of this repository.")
    _begin(run, scan)
    try:
        with uploads.opened(scan) as source:
            items = detect.find(scan.format)().read(source)
            report = read_report(items, scan.repository_id, scan.category, seen=partial(_progress, run, scan))
    except RepoGuardError as error:
        if not error.permanent:
            raise
        _fail(run, scan, error.message)
        return Done(error.message)
    try:
        write_report(scan, report, partial(_finish, run, scan, report))
    finally:
        report.spool.close()
    return None


def _begin(run: Run, scan: Scan) -> None:
    if scan.started_at is not None:
        return
    with transaction.atomic():
        scan.started_at = timezone.now()
        _update(run, scan, started_at=scan.started_at)
        announce_started(scan)


def _progress(run: Run, scan: Scan, read: int) -> None:
    run.save_progress({"read": read})


def _finish(run: Run, scan: Scan, report: Report, written: Written) -> None:
    """Record how it ended, in the transaction that makes the findings visible. Raises LeaseLost, which undoes them."""
    scan.outcome = ScanOutcome.PARTIAL if report.problem_count else ScanOutcome.COMPLETED
    scan.tools = sorted({section.tool for section in report.sections})
    scan.total, scan.new, scan.fixed, scan.reopened = written.total, len(written.new), len(written.fixed), len(written.reopened)
    scan.by_severity = dict(written.by_severity)
    scan.problem_count, scan.problems = report.problem_count, [asdict(problem) for problem in report.problems]
    names = ("outcome", "tools", "total", "new", "fixed", "reopened", "by_severity", "problem_count", "problems")
    _update(run, scan, **{name: getattr(scan, name) for name in names})
    uploads.discard(scan)
    result = decide(scan)
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
    """Have the next scan of the repository run as soon as this transaction commits."""
    waiting = Scan.objects.filter(repository_id=scan.repository_id, state=WorkState.QUEUED, id__gt=scan.id).order_by("id")
    if following := waiting.values_list("id", flat=True).first():
        Scan.objects.filter(id=following, state=WorkState.QUEUED).update(run_after=timezone.now())
        work_registry.wake(KIND_NAME)


def _update(run: Run, scan: Scan, **changes: object) -> None:
    held = Scan.objects.filter(pk=scan.pk, state=WorkState.RUNNING, lease_token=run.token)
    if not held.update(**changes):
        raise LeaseLost(str(scan.pk))


KIND = Kind(KIND_NAME, Scan, work_off)
