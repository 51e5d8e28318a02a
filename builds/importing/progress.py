"""How long an import goes on, by its latest pages."""

from __future__ import annotations

from django.db.models import Q
from django.utils import timezone

from builds.choices import ImportStatus
from builds.models import BuildImport
from builds.selectors import shown_status
from core.models.work import WorkState

STEPS_KEPT = 20
UNFINISHED = (ImportStatus.RUNNING, ImportStatus.WAITING)


def unfinished() -> Q:
    """Return the condition for imports that go on by themselves."""
    return Q(status__in=UNFINISHED, state__in=[WorkState.QUEUED, WorkState.RUNNING])


def eta_seconds_of(row: BuildImport) -> float | None:
    """Return the seconds left at the pace of the latest pages, with the wait for a limit; None where it is unknown, or over.

    The pages are kept as [Unix time, runs seen so far].
    """
    steps = row.progress.get("steps", [])
    if shown_status(row) not in UNFINISHED or row.total is None or len(steps) < 2:
        return None
    seconds, runs = steps[-1][0] - steps[0][0], steps[-1][1] - steps[0][1]
    if seconds <= 0 or runs <= 0:
        return None
    waits = max(0.0, (row.run_after - timezone.now()).total_seconds()) if row.status == ImportStatus.WAITING else 0.0
    return float(round(max(0, row.total - row.seen) * seconds / runs + waits, 1))
