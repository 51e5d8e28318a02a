"""Reading imports of builds."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from builds.choices import ImportStatus
from builds.models import BuildImport
from core.models.work import WorkState

_GOING_ON = (ImportStatus.RUNNING, ImportStatus.WAITING)


def shown_status(row: BuildImport) -> str:
    """Return where an import stands; one whose work failed for good is failed, whatever it was doing."""
    failed = row.state == WorkState.FAILED and row.status in _GOING_ON
    return ImportStatus.FAILED.value if failed else str(row.status)


def with_status(rows: QuerySet[BuildImport], status: str) -> QuerySet[BuildImport]:
    """Return the imports that shown_status() says this of."""
    failed = Q(state=WorkState.FAILED, status__in=_GOING_ON)
    said = Q(status=status) & ~failed
    return rows.filter(said | failed if status == ImportStatus.FAILED else said)


def percent_of(row: BuildImport) -> float | None:
    """Return the share that is done: of the file's bytes, else of the runs that are expected; None where neither is known."""
    if row.status == ImportStatus.DONE:
        return 100.0
    done, whole = (row.progress.get("byte", 0), row.progress["size"]) if row.progress.get("size") else (row.seen, row.total)
    return round(min(99.9, 100 * done / whole), 1) if whole else None
