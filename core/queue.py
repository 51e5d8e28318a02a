"""The queue: the one door to django-q2.

A message only wakes a worker; what is to be done stands in a row. A lost message costs a minute (the schedules sweep), a
doubled one nothing (rows are leased). With the database as broker, which is the default, a message sent inside a
transaction is a row of that transaction: it is seen when the transaction commits and vanishes with it. Any other broker
gets it after the commit.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

DEFAULT = "default"
DELIVERIES = "deliveries"
CLUSTERS = (DEFAULT, DELIVERIES)
_PRUNE_AT_ONCE = 1000


def enqueue(path: str, *args: Any, cluster: str = DEFAULT, save: bool = False) -> None:
    """Have a worker of `cluster` call the function at the dotted `path` with plain `args` (ids, names, numbers).

    `save` keeps the function's result in the admin's list of tasks; failures are always kept. Raises ValueError for a
    cluster that does not exist.
    """
    if cluster not in CLUSTERS:
        raise ValueError(f"There is no cluster {cluster!r}; there are {', '.join(CLUSTERS)}.")
    if "orm" in settings.Q_CLUSTER:
        _send(path, args, cluster, save)
    else:
        # robust: the rows are committed, and the schedules find them when the broker is away
        transaction.on_commit(partial(_send, path, args, cluster, save), robust=True)


def _send(path: str, args: tuple[Any, ...], cluster: str, save: bool) -> None:
    from django_q.tasks import async_task  # noqa: PLC0415 - its models load after the apps, which import this module

    async_task(path, *args, q_options={"cluster": cluster, "save": save})


def ensure_schedule(name: str, path: str, minutes: int, cluster: str = DEFAULT) -> None:
    """Have `path` called every so many minutes; the schedule of that name is created or corrected, and kept when right."""
    from django_q.models import Schedule  # noqa: PLC0415 - see _send

    if cluster not in CLUSTERS:
        raise ValueError(f"There is no cluster {cluster!r}; there are {', '.join(CLUSTERS)}.")
    wanted = {
        "func": path,
        "minutes": minutes,
        "cluster": cluster,
        "schedule_type": Schedule.MINUTES,
        "repeats": -1,
        "args": None,
        "hook": None,
        "kwargs": "q_options={'save': False}",  # a row a minute that says "ran" helps nobody
    }
    with transaction.atomic():
        rows = Schedule.objects.filter(name=name).order_by("id")
        first = rows.first()
        if first is None:
            Schedule.objects.create(name=name, **wanted)
            return
        rows.exclude(id=first.id).delete()
        if not rows.filter(id=first.id, **wanted).exists():
            rows.filter(id=first.id).update(**wanted)


def keep_only_schedules(names: set[str]) -> int:
    """Delete every schedule of another name; returns how many. A schedule can call any function, so none may linger."""
    from django_q.models import Schedule  # noqa: PLC0415 - see _send

    return int(Schedule.objects.exclude(name__in=names).delete()[0])


def backlog() -> dict[str, int]:
    """Return how many messages wait in each cluster's queue, for metrics; nothing with a broker other than the database."""
    from django_q.models import OrmQ  # noqa: PLC0415 - see _send

    if "orm" not in settings.Q_CLUSTER:
        return {}
    # a queue holds messages, not work: it is short whenever workers live
    return {name: OrmQ.objects.filter(key=name).count() for name in CLUSTERS}


def prune_results(before: datetime) -> int:
    """Delete kept results of tasks that ended before this time, at most a thousand; returns how many."""
    from django_q.models import Task  # noqa: PLC0415 - see _send

    old = Task.objects.filter(stopped__lt=before).values_list("id", flat=True)[:_PRUNE_AT_ONCE]
    return int(Task.objects.filter(id__in=list(old)).delete()[0])
