"""The canary: a task that does nothing, sent through a cluster every few seconds to see that all of it works.

The pusher puts it among the tasks it takes from the queue (core/broker.py), a worker runs it, and the monitor, which is last
to see it, notes it here: in a file for the supervisor of the machine, and as the heartbeat of a Worker row for everyone. So
its silence means that one of the three has stopped, which django-q2 itself does not always notice.
"""

from __future__ import annotations

import logging
import time
import uuid
from datetime import datetime

from django.db import DatabaseError
from django.db.models import Max

from core import leases, runfiles
from core.models import Worker

logger = logging.getLogger(__name__)
TASK = "core.canary.sing"
PERIOD_SECONDS = 3.0
_LOST_AFTER_SECONDS = 60.0


def sing() -> None:
    """Do nothing; that it is called is the point."""


def kind(cluster: str) -> str:
    """Return the kind of Worker row that stands for a running cluster."""
    return f"cluster:{cluster}"


def last_canary(cluster: str) -> datetime | None:
    """Return when a canary last came through any machine's cluster of this name (the database's clock), or None."""
    latest: datetime | None = Worker.objects.filter(kind=kind(cluster)).aggregate(at=Max("heartbeat_at"))["at"]
    return latest


class Cage:
    """Lives in the pusher: says when the next canary may fly. At most one is out at a time."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._sent_at = -_LOST_AFTER_SECONDS
        self._noted_before = -1

    def open(self) -> bool:
        """Say whether a canary is due, and if so count it as sent."""
        now, noted = time.monotonic(), self._noted()
        waited = now - self._sent_at
        # a change, not a later time: the clock of files lags behind, and a canary is back within a millisecond
        if waited < PERIOD_SECONDS or (noted == self._noted_before and waited < _LOST_AFTER_SECONDS):
            return False
        self._sent_at, self._noted_before = now, noted
        return True

    def _noted(self) -> int:
        try:
            return runfiles.canary_file(self._cluster).stat().st_mtime_ns
        except FileNotFoundError:
            return 0


class Perch:
    """Lives in the monitor: notes the canaries that came through."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._worker: uuid.UUID | None = None

    def note(self) -> None:
        """Note one canary; the supervisor's file first, since the database may be away."""
        runfiles.canary_file(self._cluster).touch()
        try:
            self._beat()
        except DatabaseError as error:
            logger.warning("canary_not_recorded", extra={"cluster": self._cluster, "error": type(error).__name__})

    def _beat(self) -> None:
        if self._worker is not None and leases.beat(self._worker):
            return
        Worker.objects.filter(leases.lapsed(), kind=kind(self._cluster)).delete()
        self._worker = leases.register_worker(kind(self._cluster))
