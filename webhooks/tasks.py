"""What the queue runs for webhooks: the standing drains of the deliveries cluster."""

from __future__ import annotations

import os
import time

from django.conf import settings

from core import leases, queue, runfiles
from core.models import Slot, Worker
from webhooks.engine.pump import Engine
from webhooks.engine.store import WORKER_KIND

CLUSTER = "deliveries"
DRAIN_SECONDS = 20.0
# after its task the engine goes on claiming until the next drain has been taken from the queue, so that no gap appears
COAST_SECONDS = 2.0
LOOK_UP_SECONDS = 0.1
PASS_ON_SECONDS = 0.2


class _Process:
    """The engine of this process; a forked child starts its own."""

    engine: Engine | None = None
    pid = 0


def drain() -> None:
    """Keep this process's engine claiming for DRAIN_SECONDS, then ask for the next drain.

    Without a free slot it ends and asks for nothing, so redelivered or scheduled extra drains don't multiply.
    """
    if runfiles.stopping():
        return
    engine = _engine()
    slot = leases.take_slot(_slots(), engine.worker_id)
    if slot is None:
        if _wanted_elsewhere():
            time.sleep(PASS_ON_SECONDS)
            queue.enqueue("webhooks.tasks.drain", cluster=CLUSTER)
        return
    engine.claim_for(DRAIN_SECONDS + COAST_SECONDS)
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline and not runfiles.stopping():
        time.sleep(LOOK_UP_SECONDS)
    leases.free_slot(*slot)
    if runfiles.stopping():
        engine.stop()
        _Process.engine = None
    else:
        queue.enqueue("webhooks.tasks.drain", cluster=CLUSTER)


def ensure_drains() -> None:
    """Start the drains that are missing; runs when a cluster starts and once a minute."""
    for _number in range(settings.DELIVERY_DRAINS):
        queue.enqueue("webhooks.tasks.drain", cluster=CLUSTER)


def _engine() -> Engine:
    if _Process.engine is None or _Process.pid != os.getpid():
        _Process.engine, _Process.pid = Engine(), os.getpid()
        _Process.engine.start()
    return _Process.engine


def _wanted_elsewhere() -> bool:
    """Say whether another live machine has a slot free: machines share the queue, and this one took that machine's drain."""
    here = leases.host_name()
    hosts = Worker.objects.filter(~leases.lapsed(), kind=WORKER_KIND).exclude(host=here).values_list("host", flat=True).distinct()
    names = [f"{CLUSTER}/{host}/{number}" for host in hosts for number in range(settings.DELIVERY_DRAINS)]
    return Slot.objects.filter(name__in=names, holder__isnull=True).exists()


def _slots() -> list[str]:
    return [f"{CLUSTER}/{leases.host_name()}/{number}" for number in range(settings.DELIVERY_DRAINS)]
