"""How far an import is, in figures and words."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from builds.choices import ImportStatus
from builds.models import BuildImport
from core.models.work import WorkState

STEPS_KEPT = 20
UNFINISHED = (ImportStatus.RUNNING, ImportStatus.WAITING)


@dataclass(frozen=True)
class ImportProgress:
    """`percent` of the runs that are expected, None while nobody knows; `eta_seconds` with the wait for a limit, None where unknown."""

    percent: float | None
    eta_seconds: float | None


def shown_status(row: BuildImport) -> str:
    """Return where an import stands; one whose work failed for good is failed, whatever else was noted."""
    if row.status in UNFINISHED and row.state == WorkState.FAILED:
        return ImportStatus.FAILED.value
    return str(row.status)


def unfinished() -> Q:
    """Return the condition for imports that go on by themselves."""
    return Q(status__in=UNFINISHED, state__in=[WorkState.QUEUED, WorkState.RUNNING])


def progress_of(row: BuildImport) -> ImportProgress:
    """Return how far an import is."""
    status = shown_status(row)
    if status == ImportStatus.DONE:
        return ImportProgress(100.0, None)
    percent = round(min(99.9, 100 * row.seen / row.total), 1) if row.total else None
    return ImportProgress(percent, _eta(row) if status in UNFINISHED else None)


def _eta(row: BuildImport) -> float | None:
    """Return the seconds left at the pace of the latest pages, which are kept as [Unix time, runs seen so far]."""
    steps = row.progress.get("steps", [])
    if row.total is None or len(steps) < 2:
        return None
    seconds, runs = steps[-1][0] - steps[0][0], steps[-1][1] - steps[0][1]
    if seconds <= 0 or runs <= 0:
        return None
    waits = max(0.0, (row.run_after - timezone.now()).total_seconds()) if row.status == ImportStatus.WAITING else 0.0
    return float(round(max(0, row.total - row.seen) * seconds / runs + waits, 1))
