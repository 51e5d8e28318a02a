"""Regular jobs: pruning and reconciling, in small batches, seen in the admin, resumed after a kill and never doubled.

Apps declare jobs at start. Each minute plan() writes one Housekeeping row for every job whose period has begun; core/work.py
claims and runs it. After each batch the row notes how far it came, and a long job gives way to other work and goes on later.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from django.db import models, transaction
from django.utils import timezone

from core.errors import NotFound
from core.ids import first_id_at
from core.models import Housekeeping
from core.models.work import WorkState
from core.work import Later, Run
from core.work_registry import Kind

logger = logging.getLogger(__name__)
BATCH_ROWS = 1000
LONGEST_BREATH_SECONDS = 0.25


@dataclass(frozen=True)
class Batch:
    """What a job is asked to do at once: at most `limit` rows, from where `cursor` says; a dry run changes nothing."""

    limit: int = BATCH_ROWS
    cursor: str = ""
    dry_run: bool = False


@dataclass(frozen=True)
class Step:
    """What a batch did: how many rows it deleted or mended, and where the next one starts; an empty cursor ends the job."""

    rows: int = 0
    cursor: str = ""


@dataclass(frozen=True)
class Job:
    """A regular job. `run` does one batch in one short transaction; running a batch twice must do no harm."""

    name: str
    every: timedelta
    help: str
    run: Callable[[Batch], Step]


_jobs: dict[str, Job] = {}


def register(*jobs: Job) -> None:
    """Declare jobs; a name declared twice stops the start."""
    for job in jobs:
        if _jobs.get(job.name, job) != job:
            raise ValueError(f"The housekeeping job {job.name} is declared twice.")
        _jobs[job.name] = job


def jobs() -> list[Job]:
    """Return every declared job, by name."""
    return sorted(_jobs.values(), key=lambda job: job.name)


def find(name: str) -> Job:
    """Return the job of this name; raises NotFound."""
    if name not in _jobs:
        raise NotFound(f"There is no housekeeping job {name!r}; there are {', '.join(job.name for job in jobs())}.")
    return _jobs[name]


def plan(now: datetime | None = None) -> int:
    """Write a row for every job whose present period has none and whose last run has ended; returns how many."""
    now = now or timezone.now()
    wanted = {(job.name, slot_of(job, now)) for job in jobs()}
    unfinished = models.Q(state__in=[WorkState.QUEUED, WorkState.RUNNING])
    present = models.Q(slot__in={slot for _, slot in wanted})
    rows = Housekeeping.objects.filter(unfinished | present, job__in=_jobs).values_list("job", "slot", "state")
    busy = {job for job, slot, state in rows if state in (WorkState.QUEUED, WorkState.RUNNING)}
    missing = wanted - {(job, slot) for job, slot, _ in rows}
    fresh = [Housekeeping(job=job, slot=slot, run_after=now) for job, slot in sorted(missing) if job not in busy]
    if fresh:
        Housekeeping.objects.bulk_create(fresh, ignore_conflicts=True)  # another machine may plan at the same moment
    return len(fresh)


def slot_of(job: Job, now: datetime) -> str:
    """Return the name of the job's period that `now` is in: the moment at which it began."""
    seconds = int(job.every.total_seconds())
    return datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, UTC).isoformat()


def perform(run: Run) -> Later | None:
    """Run a claimed Housekeeping row batch by batch, until it is done or its time is up."""
    row = cast("Housekeeping", run.row)
    job = find(row.job)
    rows, cursor = int(row.progress.get("rows", 0)), str(row.progress.get("cursor", ""))
    while True:
        started = time.monotonic()
        step = job.run(Batch(cursor=cursor))
        rows, cursor = rows + step.rows, step.cursor
        run.save_progress({"rows": rows, "cursor": cursor})
        if not cursor:
            if rows:
                logger.info("housekeeping_done", extra={"job": job.name, "rows": rows})
            return None
        if run.time_is_up():
            return Later()
        # other writers get their turn: SQLite has one writer at a time, and a tight loop would keep it
        time.sleep(min(time.monotonic() - started, LONGEST_BREATH_SECONDS))


def run_now(job: Job, *, dry_run: bool = False) -> int:
    """Run a job from start to end in this process; returns the rows deleted or mended, or that a dry run would have."""
    rows, cursor = 0, ""
    while True:
        step = job.run(Batch(cursor=cursor, dry_run=dry_run))
        rows, cursor = rows + step.rows, step.cursor
        if not cursor:
            return rows


def prune_by_age(rows: models.QuerySet[models.Model], before: datetime, batch: Batch) -> Step:
    """Delete the oldest of `rows` created before this time: one scan of the primary key (UUIDv7), from the cursor on.

    Nothing cascades: only for rows that no other row points to.
    """
    old = rows.filter(pk__lt=first_id_at(before))
    if batch.cursor:
        old = old.filter(pk__gt=batch.cursor)
    ids = list(old.order_by("pk").values_list("pk", flat=True)[: batch.limit])
    count = len(ids) if batch.dry_run else delete_rows(rows.filter(pk__in=ids)) if ids else 0
    return Step(count, str(ids[-1]) if len(ids) == batch.limit else "")


def delete_rows(rows: models.QuerySet[models.Model]) -> int:
    """Delete exactly these rows in one statement, without collecting what depends on them; returns how many."""
    with transaction.atomic():
        return int(rows._raw_delete(rows.db) or 0)  # None where Django sees by itself that there are none


KIND = Kind("housekeeping", Housekeeping, perform)
