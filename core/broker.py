"""django-q2's brokers, with a canary of this machine among the tasks."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.brokers.redis_broker import Redis
from django_q.signing import SignedPackage

from core import canary, runfiles

_NOTE_EVERY_SECONDS = 1.0


class Canaries:
    """Puts a canary of this machine among the tasks that a broker hands to the pusher, and notes the sentinel's heartbeat.

    Canaries never enter the shared queue: another machine's cluster would take them, and silence here would go unnoticed.
    """

    _cage: canary.Cage | None = None
    _noted_at = 0.0

    def dequeue(self) -> Any:
        """Return the tasks to run next, each with the id to acknowledge it by."""
        if self._cage is None:
            self._cage = canary.Cage(runfiles.cluster_name())
        if self._cage.open():
            return [(None, self._canary())]
        return super().dequeue()  # type: ignore[misc]  # the broker stands behind this class

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Note who belongs to the cluster; the sentinel calls this about twice a second, so that its own silence is seen."""
        now = time.monotonic()
        if now - self._noted_at < _NOTE_EVERY_SECONDS:
            return
        self._noted_at = now
        stat = SignedPackage.loads(value)
        pids = {"parent": stat.pid, "sentinel": stat.sentinel, "monitor": stat.monitor, "pusher": stat.pusher, "workers": stat.workers}
        runfiles.write_members(runfiles.cluster_name(), pids)

    @staticmethod
    def _canary() -> str:
        package: str = SignedPackage.dumps(
            {
                "id": uuid.uuid4().hex,
                "name": "canary",
                "func": canary.TASK,
                "args": (),
                "kwargs": {},
                "started": timezone.now(),
                "save": False,
                "ack_failure": True,
            }
        )
        return package


class DatabaseBroker(Canaries, ORM):
    """Messages are rows of the database: part of the sender's transaction, and taken again when a worker dies."""


class RedisBroker(Canaries, Redis):
    """Messages are in Redis: quicker to wake a worker, and lost when it dies with one, which the schedules make up for."""
