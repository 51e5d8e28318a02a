"""django-q2's database broker, with a canary of this machine among the tasks."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.signing import SignedPackage

from core import canary, runfiles

_NOTE_EVERY_SECONDS = 1.0


class CanaryBroker(ORM):
    """As its base; the pusher also gets a canary every few seconds.

    It never enters the shared queue: another machine's cluster would take it, and silence here would go unnoticed.
    """

    _cage: canary.Cage | None = None
    _noted_at = 0.0

    def dequeue(self) -> Any:
        """Return the tasks to run next, each with the id to acknowledge it by."""
        if self._cage is None:
            self._cage = canary.Cage(self.list_key)
        if self._cage.open():
            return [(None, self._canary())]
        return super().dequeue()

    def set_stat(self, key: str, value: str, timeout: int) -> None:
        """Note who belongs to the cluster; the sentinel calls this about twice a second, so that its own silence is seen."""
        now = time.monotonic()
        if now - self._noted_at < _NOTE_EVERY_SECONDS:
            return
        self._noted_at = now
        stat = SignedPackage.loads(value)
        pids = {"parent": stat.pid, "sentinel": stat.sentinel, "monitor": stat.monitor, "pusher": stat.pusher, "workers": stat.workers}
        runfiles.write_members(self.list_key, pids)

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
