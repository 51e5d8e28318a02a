"""Work that survives its worker: rows that a process claims, runs under a lease, and records.

A claim counts the attempt before the run, so that a row which kills its process ends. The process renews one heartbeat for
everything it holds; a row whose holder fell silent is swept back into the queue, or failed with "worker lost" when its
attempts are used up. Each outcome is recorded under the claim's token only: a process that was merely slow can't overwrite
what its successor did. The queue just wakes the process; a lost message costs a minute, never the work.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

from django.db import Error, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from core import leases
from core.errors import RepoGuardError
from core.heartbeats import heartbeat
from core.ids import uuid7
from core.models import Worker, WorkRow
from core.models.work import WorkState
from core.texts import storable, storable_json
from core.threads import together

logger = logging.getLogger(__name__)
WORKER_LOST = "worker lost: the process that ran it died"
FIRST_RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 3600.0
RUN_SECONDS = 45.0
_SWEPT_AT_ONCE = 500
_LONGEST_ERROR = 2000


class LeaseLost(Exception):
    """The row is no longer this process's: stop, and record nothing. Another process has it or will have it."""


@dataclass(frozen=True)
class Later:
    """What a handler returns when it is not finished: run it again after `seconds`; the attempt does not count.

    `note` tells people why; it stands in the row's `error` until the next outcome.
    """

    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True)
class Done:
    """What a handler returns when it is finished and people should read why; None says the same without a note."""

    note: str = ""


@dataclass(frozen=True)
class Recorded:
    """What a handler returns that called finish() itself, in the transaction of what it wrote."""


@dataclass(frozen=True)
class Run:
    """A row that this process holds, as its handler sees it."""

    row: WorkRow
    token: uuid.UUID
    deadline: float = field(default_factory=lambda: time.monotonic() + RUN_SECONDS)
    """By the monotonic clock: a long job stops at a good place after this and returns Later."""
    stopping: Callable[[], bool] = bool
    """Says whether the process was told to end soon."""

    def save_progress(self, value: dict[str, Any]) -> None:
        """Store what has been done so far; raises LeaseLost, and then the handler must stop."""
        if not progress(self.row, self.token, value):
            raise LeaseLost(str(self.row.id))

    def time_is_up(self) -> bool:
        """Say whether to return Later at the next good place."""
        return time.monotonic() >= self.deadline or self.stopping()


Said = Later | Done | Recorded | None
Handler = Callable[[Run], Said]


def is_due(model: type[WorkRow], unless: QuerySet[Any] | None = None) -> bool:
    """Say whether a claim could find a row, without taking a lock; in the same look-up that nothing is in `unless`."""
    due = _due(model) if unless is None else _due(model).filter(~Exists(unless))
    if model.turns:
        return due.exists()
    return bool(due.order_by("run_after").values_list("run_after")[:1])  # as the index has them, however many the planner expects


def claim(model: type[WorkRow], worker_id: uuid.UUID, limit: int = 1) -> list[WorkRow]:
    """Take up to `limit` due rows, oldest first, and return them; they carry the claim's `lease_token`."""
    if not is_due(model):
        return []  # nothing is written, so that idle workers leave SQLite's only writer alone
    return _claim(model, worker_id, limit)


def _claim(model: type[WorkRow], worker_id: uuid.UUID, limit: int = 1, *, after: WorkRow | None = None) -> list[WorkRow]:
    token = uuid7()
    with transaction.atomic():
        rows = _next(model, limit, after)
        if rows:
            taken = {"state": WorkState.RUNNING, "lease_owner": worker_id, "lease_token": token}
            _rows(model).filter(id__in=[row.id for row in rows]).update(attempts=F("attempts") + 1, **taken)
    for row in rows:  # they were locked: nobody has changed them since they were read
        row.state, row.attempts, row.lease_owner, row.lease_token = WorkState.RUNNING, row.attempts + 1, worker_id, token
    return rows


def _next(model: type[WorkRow], limit: int, after: WorkRow | None) -> list[WorkRow]:
    """Return the next due rows, locked: the oldest, or those whose turn it is after that of the row before."""
    due = _due(model).select_for_update(skip_locked=True)
    if not model.turns:
        return list(due.order_by("run_after", "id")[:limit])
    in_turn = due.order_by(model.turns, "run_after")
    if after is not None:
        behind = {f"{model.turns}__gt": getattr(after, model.turns)}
        if rows := list(in_turn.filter(**behind)[:limit]):
            return rows
    return list(in_turn[:limit])


def finish(row: WorkRow, token: uuid.UUID, note: str = "", **also: Any) -> bool:
    """Record that the row is done, and its columns in `also`; False when the lease was lost, and then nothing is recorded."""
    changes = also | {"state": WorkState.DONE, "error": _shown(note), "finished_at": timezone.now()}
    return _held(row, token).update(lease_owner=None, lease_token=None, **changes) == 1


def fail(row: WorkRow, token: uuid.UUID, error: str, retry_in: float | None = None) -> bool:
    """Record a failed run: again after `retry_in` seconds if attempts are left, else for good. False when the lease was lost."""
    if retry_in is not None and row.attempts < row.max_attempts:
        again = timezone.now() + timedelta(seconds=retry_in)
        changes: dict[str, Any] = {"state": WorkState.QUEUED, "run_after": again}
    else:
        changes = {"state": WorkState.FAILED, "finished_at": timezone.now()}
    return _held(row, token).update(error=_shown(error), lease_owner=None, lease_token=None, **changes) == 1


def put_back(row: WorkRow, token: uuid.UUID, seconds: float = 0.0, note: str = "") -> bool:
    """Queue the row again because it got somewhere but is not finished: its attempts start anew. False when the lease was lost."""
    again = timezone.now() + timedelta(seconds=seconds)
    changes: dict[str, Any] = {"state": WorkState.QUEUED, "run_after": again, "attempts": 0, "error": _shown(note)}
    return _held(row, token).update(lease_owner=None, lease_token=None, **changes) == 1


def progress(row: WorkRow, token: uuid.UUID, value: dict[str, Any]) -> bool:
    """Store how far the run is; False when the lease was lost: the run must stop."""
    return _held(row, token).update(progress=storable_json(value)) == 1


def sweep(model: type[WorkRow]) -> int:
    """Take rows back from workers that fell silent or are gone; returns how many."""
    alive = Worker.objects.filter(~leases.lapsed(), id=OuterRef("lease_owner"))
    orphans = _rows(model).filter(~Exists(alive), state=WorkState.RUNNING)
    if not orphans.exists():
        return 0
    now = timezone.now()
    released: dict[str, Any] = {"lease_owner": None, "lease_token": None, "error": WORKER_LOST}
    with transaction.atomic():
        ids = list(orphans.select_for_update(skip_locked=True, of=("self",)).values_list("id", flat=True)[:_SWEPT_AT_ONCE])
        # judged again under the lock: a holder that was only slow may have renewed its heartbeat meanwhile
        mine = orphans.filter(id__in=ids)
        failed = mine.filter(attempts__gte=F("max_attempts")).update(state=WorkState.FAILED, finished_at=now, **released)
        queued = mine.update(state=WorkState.QUEUED, run_after=now, **released)
    logger.warning("work_swept", extra={"model": model._meta.label, "queued": queued, "failed": failed})
    return queued + failed


def run_due(
    model: type[WorkRow],
    handler: Handler,
    *,
    seconds: float = RUN_SECONDS,
    stopping: Callable[[], bool] = bool,
    places: Collection[str] = (),
    at_once: int = 1,
) -> int:
    """Run due rows until none is left, `seconds` are over or `stopping()`; returns how many were run.

    One after the other, and in turns where the model says so; or `at_once` in threads. A handler that raises is tried again later with
    growing delays, unless the error is permanent. One that outlives `seconds` is not interrupted by this, but should look at its Run's
    deadline. Where `places` names slots, nothing is run without a free one.
    """
    sweep(model)
    if not is_due(model):
        return 0
    deadline = time.monotonic() + seconds
    count = 0
    last: WorkRow | None = None

    def is_over() -> bool:
        return time.monotonic() >= deadline or stopping()

    def run(row: WorkRow) -> None:
        perform(Run(row, cast("uuid.UUID", row.lease_token), deadline, stopping), handler)

    with heartbeat() as worker_id, leases.place(places, worker_id) as is_free:
        if not is_free:
            return 0
        if at_once > 1:
            return together(lambda limit: claim(model, worker_id, limit), run, at_once, is_over)
        while not is_over() and (rows := _claim(model, worker_id, after=last)):
            last = rows[0]
            run(last)
            count += 1
    return count


def perform(run: Run, handler: Handler) -> None:
    """Run one claimed row and record how it ended."""
    row, token = run.row, run.token
    try:
        said = handler(run)
    except LeaseLost:
        logger.warning("work_lease_lost", extra={"work": str(row.id)})
    except RepoGuardError as error:
        retry = None if error.permanent else max(error.retry_after or 0.0, retry_delay(row.attempts))
        fail(row, token, error.message, retry)
    except Exception as error:  # whatever a handler raises ends in the row, never in the queue
        logger.exception("work_failed", extra={"work": str(row.id), "model": row._meta.label})
        fail(row, token, f"{type(error).__name__}: see the log at {timezone.now():%Y-%m-%d %H:%M} UTC.", retry_delay(row.attempts))
    except BaseException as error:
        # the queue's time limit or a stop: recorded if the connection still can, otherwise the sweep finds the row
        _record_abort(row, token, error)
        raise
    else:
        if not _record(row, token, said):
            logger.warning("work_lease_lost", extra={"work": str(row.id)})


def retry_delay(attempts: int) -> float:
    """Return the seconds to wait after the `attempts`-th failed run: 30, 60, 120 and so on, an hour at most."""
    return float(min(FIRST_RETRY_SECONDS * 2 ** (max(attempts, 1) - 1), LONGEST_RETRY_SECONDS))


def _record(row: WorkRow, token: uuid.UUID, said: Said) -> bool:
    if isinstance(said, Recorded):
        return True
    if isinstance(said, Later):
        return put_back(row, token, said.seconds, said.note)
    return finish(row, token, said.note if said else "")


def _record_abort(row: WorkRow, token: uuid.UUID, error: BaseException) -> None:
    try:
        fail(row, token, f"Ended before it was done ({type(error).__name__}).", retry_delay(row.attempts))
    except Error:
        logger.warning("work_abort_not_recorded", extra={"work": str(row.id)})


def _shown(text: str) -> str:
    return storable(text)[:_LONGEST_ERROR]


def _rows(model: type[WorkRow]) -> QuerySet[WorkRow]:
    rows: QuerySet[WorkRow] = model._default_manager.all()
    return rows


def _due(model: type[WorkRow]) -> QuerySet[WorkRow]:
    return _rows(model).filter(state=WorkState.QUEUED, run_after__lte=timezone.now())


def _held(row: WorkRow, token: uuid.UUID) -> QuerySet[WorkRow]:
    return _rows(type(row)).filter(pk=row.pk, state=WorkState.RUNNING, lease_token=token)
