"""The schedules of the queue: two, each a minute long. Everything finer lives in rows (due times, housekeeping periods)."""

from __future__ import annotations

from core import queue

TICK = "core: due work and housekeeping"
DRAINS = "webhooks: keep the drains running"


def ensure() -> None:
    """Create or correct the schedules and delete all others; `manage.py prepare` calls it at every start."""
    # the drains' task is named by path: core must not import the rooms above it
    queue.ensure_schedule(TICK, "core.tasks.tick", 1)
    queue.ensure_schedule(DRAINS, "webhooks.tasks.ensure_drains", 1, cluster=queue.DELIVERIES)
    queue.keep_only_schedules({TICK, DRAINS})
