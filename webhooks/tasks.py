"""What the queue runs for webhooks: the standing drains of the deliveries cluster."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, OuterRef

from core import canary, leases, queue, runfiles, work_registry
from core.models import Slot, Worker
from webhooks.destinations import follow
from webhooks.engine import upkeep
from webhooks.engine.pump import Engine
from webhooks.engine.store import WORKER_KIND

logger = logging.getLogger(__name__)
CLUSTER = "deliveries"
DRAIN_SECONDS = 20.0
# after its task the engine goes on claiming until the next drain has been taken from the queue, so that no gap appears
COAST_SECONDS = 2.0
LOOK_UP_SECONDS = 0.1
PASS_ON_SECONDS = 0.2
STOP_SECONDS = 10.0
HAND_OVER_TRIES = 20
RECONNECT_SECONDS = 1.0


class _Process:
    """The engine of this process; a forked child starts its own."""

    engine: Engine | None = None
    pid = 0
    followed = upkeep.Sparing(lambda: _call_for_follow_ups(), every=upkeep.SECONDS)


def drain() -> None:
    """Keep this process's engine claiming for DRAIN_SECONDS, then ask for the next drain.

    Without a free slot it ends and asks for nothing, so redelivered or scheduled extra drains don't multiply.
    """
    if runfiles.stopping():
        _pass_on()
        return
    engine = _engine()
    slot = leases.take_slot(_slots(leases.host_name()), engine.worker_id)
    if slot is None:
        _pass_on()
        return
    engine.claim_for(DRAIN_SECONDS + COAST_SECONDS)
    deadline = time.monotonic() + DRAIN_SECONDS
    while time.monotonic() < deadline and engine.alive and not runfiles.stopping():
        time.sleep(LOOK_UP_SECONDS)
        _Process.followed()
    if runfiles.stopping():
        engine.stop(STOP_SECONDS)
        _wait_for_other_engines()
        leases.free_slot(*slot)
    else:
        _hand_over(*slot)


def _call_for_follow_ups() -> bool:
    """Have follow-ups that are due polled. On the drain's thread, which has nothing else to do: the queue may be another machine's."""
    try:
        return work_registry.call_due(follow.KIND)
    except (OperationalError, InterfaceError):
        logger.warning("follow_ups_not_seen")
        connection.close()
    except Exception:  # whatever it is, deliveries go on, and the tick finds what is due
        logger.exception("follow_ups_failed")
    return False


def ensure_drains() -> None:
    """Start the drains that are missing, on this machine and others; runs when a cluster starts and once a minute."""
    for _number in range(settings.DELIVERY_DRAINS * (1 + len(_other_hosts()))):
        queue.enqueue("webhooks.tasks.drain", cluster=CLUSTER)


def _engine() -> Engine:
    if _Process.engine is None or _Process.pid != os.getpid() or not _Process.engine.alive:
        engine = Engine()
        engine.start()
        _Process.engine, _Process.pid = engine, os.getpid()
        threading.Thread(target=_stop_when_told, args=(engine,), name="deliveries-stop", daemon=True).start()
    return _Process.engine


def _stop_when_told(engine: Engine) -> None:
    # an engine whose process has no drain at the moment may have requests open, too
    while engine.alive and not runfiles.stopping():
        time.sleep(LOOK_UP_SECONDS)
    engine.stop(STOP_SECONDS)


def _wait_for_other_engines() -> None:
    """Wait until the engines of this machine have ended: the cluster is told to end when no task runs any more."""
    others = Worker.objects.filter(~leases.lapsed(), kind=WORKER_KIND, host=leases.host_name())
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline and others.exists():
        time.sleep(LOOK_UP_SECONDS)


def _hand_over(name: str, token: uuid.UUID) -> None:
    """Free the slot and ask for the next drain, both or neither; waits for a database that is away."""
    for _number in range(HAND_OVER_TRIES):
        try:
            with transaction.atomic():
                leases.free_slot(name, token)
                queue.enqueue("webhooks.tasks.drain", cluster=CLUSTER)
            return
        except (OperationalError, InterfaceError):
            logger.warning("hand_over_delayed")
            connection.close()
            time.sleep(RECONNECT_SECONDS)


def _pass_on() -> None:
    """Give the message back to the queue when it was another machine's."""
    if _wanted_elsewhere():
        time.sleep(PASS_ON_SECONDS)
        queue.enqueue("webhooks.tasks.drain", cluster=CLUSTER)


def _wanted_elsewhere() -> bool:
    """Say whether another live machine has a slot free: machines share the queue, and this one took that machine's drain."""
    names = [name for host in _other_hosts() for name in _slots(host)]
    alive = Worker.objects.filter(~leases.lapsed(), id=OuterRef("holder_id"))
    return Slot.objects.filter(Exists(alive), name__in=names).count() < len(names)


def _other_hosts() -> list[str]:
    # a machine that has just started has a live cluster, but no engine and no slots yet
    alive = Worker.objects.filter(~leases.lapsed(), kind__in=[WORKER_KIND, canary.kind(CLUSTER)])
    return list(alive.exclude(host=leases.host_name()).order_by().values_list("host", flat=True).distinct())


def _slots(host: str) -> list[str]:
    return [f"{CLUSTER}/{host}/{number}" for number in range(settings.DELIVERY_DRAINS)]
