"""The schedules of the queue, each a minute long. Everything finer lives in rows (due times, housekeeping periods).

Apps register theirs at start; `prepare` makes the queue's table say exactly that.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import queue


@dataclass(frozen=True)
class Schedule:
    """Has a worker of `cluster` call the function at the dotted `path` each minute, and, if asked, whenever the cluster starts."""

    name: str
    path: str
    cluster: str = queue.DEFAULT
    at_start: bool = False


TICK = Schedule("core: due work and housekeeping", "core.tasks.tick")
_schedules: dict[str, Schedule] = {}


def register(*schedules: Schedule) -> None:
    """Declare schedules; a name declared twice stops the start."""
    for schedule in schedules:
        if _schedules.get(schedule.name, schedule) != schedule:
            raise ValueError(f"The schedule {schedule.name!r} is declared twice.")
        _schedules[schedule.name] = schedule


def schedules() -> list[Schedule]:
    """Return every declared schedule, by name."""
    return sorted(_schedules.values(), key=lambda schedule: schedule.name)


def ensure() -> None:
    """Create or correct the schedules and delete all others; `manage.py prepare` calls it at every start."""
    for schedule in schedules():
        queue.ensure_schedule(schedule.name, schedule.path, 1, cluster=schedule.cluster)
    queue.keep_only_schedules({schedule.name for schedule in schedules()})


def enqueue_start_tasks(cluster: str) -> None:
    """Enqueue what a cluster does as soon as it starts; the schedules are the net below."""
    for schedule in schedules():
        if schedule.at_start and schedule.cluster == cluster:
            queue.enqueue(schedule.path, cluster=cluster)
