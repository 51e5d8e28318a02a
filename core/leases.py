"""Leases: who holds a row, and when it is free again.

A process that holds rows has a Worker row whose heartbeat it renews every two seconds; its leases lapse when that heartbeat
is ten seconds old by the database's clock. A killed process thus frees its share quickly and at once, without a statement
per row. Each claim carries a token; an outcome is recorded only under it, so a process that was only slow can't overwrite
what its successor did.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import Slot, Worker

HEARTBEAT_SECONDS = 2.0
LAPSE_SECONDS = 10.0


def register_worker(kind: str) -> uuid.UUID:
    """Create the Worker row of this process and return its id."""
    return Worker.objects.create(id=uuid7(), kind=kind, host=host_name(), pid=os.getpid()).id


def host_name() -> str:
    """Return this machine's name as leases record it."""
    return socket.gethostname()[:200]


def beat(worker_id: uuid.UUID) -> bool:
    """Renew the heartbeat; False when the worker was given up for dead: it must register anew and drop what it holds."""
    return Worker.objects.filter(id=worker_id).update(heartbeat_at=Now()) == 1


def retire(worker_id: uuid.UUID) -> None:
    """Delete the worker's row; call it when the worker holds nothing any more."""
    Worker.objects.filter(id=worker_id).delete()


def lapsed(seconds: float | None = None) -> Q:
    """Return the condition on Worker for a heartbeat too old to hold anything (or older than `seconds`)."""
    return Q(heartbeat_at__lt=Now() - timedelta(seconds=LAPSE_SECONDS if seconds is None else seconds))


def take_slot(names: list[str], worker_id: uuid.UUID) -> tuple[str, uuid.UUID] | None:
    """Take the first of `names` that no live worker holds; returns (name, token), or None when all are held."""
    Slot.objects.bulk_create([Slot(name=name) for name in names], ignore_conflicts=True)
    for name in names:
        token = uuid7()
        with transaction.atomic():
            alive = Worker.objects.filter(~lapsed(), id=OuterRef("holder_id"))
            taken = Slot.objects.filter(~Exists(alive) | Q(holder_id=worker_id), name=name).update(holder_id=worker_id, token=token)
        if taken:
            return name, token
    return None


def free_slot(name: str, token: uuid.UUID) -> None:
    """Give a slot back, unless another has taken it since."""
    Slot.objects.filter(name=name, token=token).update(holder=None, token=None)


def half_of_workers() -> int:
    """Return how many of a machine's workers may call services at once: those which hang then never keep all of them busy."""
    return max(1, settings.WORKERS // 2)


def places(kind: str) -> list[str]:
    """Return the names of this machine's slots for them."""
    return [f"{kind}/{host_name()}/{number}" for number in range(half_of_workers())]


@contextmanager
def place(names: Collection[str], worker_id: uuid.UUID) -> Iterator[bool]:
    """Hold one of some slots, and say whether there was one; without names there always is."""
    slot = take_slot(list(names), worker_id) if names else None
    try:
        yield slot is not None or not names
    finally:
        if slot is not None:
            free_slot(*slot)
