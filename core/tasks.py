"""What the queue runs for the plumbing: the minute's tick, and due work."""

from __future__ import annotations

import logging

from core import context, housekeeping, queue, runfiles, work, work_registry

logger = logging.getLogger(__name__)
ACTOR = context.Actor("system", "", "background work")


def tick() -> None:
    """Once a minute: plan housekeeping, take work back from dead workers, and wake workers for all that is due.

    This is the net under every lost queue message; running it twice, or at once on two machines, does no harm.
    """
    with context.acting(ACTOR):
        housekeeping.plan()
        for kind in work_registry.kinds():
            work.sweep(kind.model)
            if work.is_due(kind.model) and not work_registry.has_enough(kind):
                queue.enqueue(work_registry.RUN_TASK, kind.name, cluster=kind.cluster)


def run_work(name: str) -> int:
    """Run due rows of one kind of work for a while; returns how many were run."""
    kind = work_registry.find(name)
    if kind is None:
        # queued by a newer or older release; its rows wait for a process that knows them
        logger.warning("work_kind_unknown", extra={"kind": name})
        return 0
    work_registry.came(kind)
    with context.acting(ACTOR):
        places = work_registry.places(kind)
        return work.run_due(kind.model, kind.handler, stopping=runfiles.stopping, places=places, at_once=kind.at_once)
