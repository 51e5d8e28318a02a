"""The kinds of claimable work that apps declare at start, and the message that wakes a worker for one of them."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from core import leases, queue, work
from core.models import WorkCall, Worker, WorkRow
from core.models.work import WorkState
from core.work import Handler

RUN_TASK = "core.tasks.run_work"


@dataclass(frozen=True)
class Kind:
    """One kind of work: its table, what runs a row of it, and the cluster that does."""

    name: str
    model: type[WorkRow]
    handler: Handler
    cluster: str = queue.DEFAULT
    called: bool = False
    """Somebody looks for due rows often (`call_due`): they come due at moments that nobody sends a message for."""
    at_once: int = 1
    """How many rows a worker runs, in threads: more than one where a row is mostly waiting for a service."""


_kinds: dict[str, Kind] = {}


def register(kind: Kind) -> None:
    """Declare a kind of work; the same name for another kind stops the start."""
    if _kinds.get(kind.name, kind) != kind:
        raise ValueError(f"The kind of work {kind.name} is declared twice.")
    _kinds[kind.name] = kind


def find(name: str) -> Kind | None:
    """Return the kind of this name, or None."""
    return _kinds.get(name)


def kinds() -> list[Kind]:
    """Return every declared kind, by name."""
    return sorted(_kinds.values(), key=lambda kind: kind.name)


def wake(name: str) -> None:
    """Have due rows of this kind run soon after the present transaction commits. A lost message costs at most a minute."""
    queue.enqueue(RUN_TASK, name, cluster=_kinds[name].cluster)


def call_due(kind: Kind) -> bool:
    """Have due rows run now, unless a worker was called that has not come yet, or as many as may be are at it; says whether one was called.

    For whoever looks again and again, on any number of machines: one look-up where there is nothing to do, and one message however
    many look. At most half of a machine's workers are called, so that services which hang never keep all of them from other work. A lost
    message costs a minute: the worker that the tick wakes takes the call back.
    """
    on_its_way = WorkCall.objects.filter(kind=kind.name, called_at__isnull=False)
    if not work.is_due(kind.model, unless=on_its_way) or has_enough(kind):
        return False
    with transaction.atomic():
        WorkCall.objects.bulk_create([WorkCall(kind=kind.name)], ignore_conflicts=True)
        if not WorkCall.objects.filter(kind=kind.name, called_at__isnull=True).update(called_at=Now()):
            return False  # another was quicker
        queue.enqueue(RUN_TASK, kind.name, cluster=kind.cluster)
    return True


def has_enough(kind: Kind) -> bool:
    """Say whether as many workers as may be run rows of a kind for which workers are called."""
    return kind.called and _holders(kind.model) >= leases.half_of_workers()


def _holders(model: type[WorkRow]) -> int:
    """Return how many live workers run rows just now."""
    running = model._default_manager.filter(state=WorkState.RUNNING)
    return Worker.objects.filter(~leases.lapsed(), id__in=running.values("lease_owner")).count()


def places(kind: Kind) -> list[str]:
    """Return the slots of this machine for workers that are called: between two rows a worker holds none, and another may be called."""
    return leases.places(kind.name) if kind.called else []


def came(kind: Kind) -> None:
    """Note that a worker has come, before it looks for rows: what comes due from now on may call another."""
    if kind.called:
        WorkCall.objects.filter(kind=kind.name, called_at__isnull=False).update(called_at=None)
