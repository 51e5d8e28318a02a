"""The supervised programs: the web server, and the clusters with the signs of life that are expected of them."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from core import runfiles
from core.supervisor.group import ProcessGroup

logger = logging.getLogger(__name__)
STARTING_SECONDS = 60.0
_RECOVERY_SECONDS = 15.0
_ASK_EVERY_SECONDS = 2.0
_FROZEN_SECONDS = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE, _SETTLED_SECONDS = 0.5, 10.0, 60.0


class CannotStart(Exception):
    """Something that a person must put right first; the text says what."""


class Child:
    """A program that is started again whenever it ends: after half a second at first, up to ten when it keeps ending."""

    def __init__(self, name: str, group: ProcessGroup) -> None:
        self.name = name
        self.group = group
        self.started_at = 0.0
        self._pause = _FIRST_PAUSE
        self._start_at = 0.0
        self.starts = 0

    def check(self) -> None:
        """Raise CannotStart when the program has no chance to run here."""

    def start(self) -> None:
        """Start the program now."""
        self.group.start()
        self.started_at = time.monotonic()
        self.starts += 1
        logger.info("started", extra={"child": self.name, "pid": self.group.pid})

    def look(self, database_answers: Callable[[], bool]) -> None:
        """Start the program, or end and start it again, as its state demands."""
        now = time.monotonic()
        if not self.group.pid:
            if now >= self._start_at:
                self.start()
            return
        reason = self._complaint(now, database_answers)
        if not reason:
            return
        logger.error("restarting", extra={"child": self.name, "reason": reason})
        self.group.end()
        if now - self.started_at > _SETTLED_SECONDS:
            self._pause = _FIRST_PAUSE
        self._start_at = now + self._pause
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def ask_to_end(self) -> None:
        """Have the program end by itself."""
        self.group.ask_to_end()

    def ended(self) -> bool:
        """Say whether the program has ended by itself (what it forked may still live)."""
        return not self.group.pid or self.group.exit_code() is not None

    def _complaint(self, now: float, database_answers: Callable[[], bool]) -> str:
        code = self.group.exit_code()
        return "" if code is None else f"it ended with exit code {code}"


class Web(Child):
    """The web server."""

    def check(self) -> None:
        """Raise CannotStart when another program has the port."""
        family = socket.AF_INET6 if ":" in settings.BIND else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((settings.BIND, settings.PORT))
            except OSError as error:
                raise CannotStart(
                    f"Can't listen on {settings.BIND}:{settings.PORT} ({error.strerror}). Stop the program that does, or set PORT or BIND."
                ) from error


@dataclass
class Sign:
    """A file that is touched again and again while all is well."""

    what: str
    path: Path
    since: float
    allowed: float = STARTING_SECONDS
    modified: float = 0.0

    def silence(self, now: float) -> float:
        """Return for how many seconds the file has not been touched."""
        latest = _modified(self.path)
        if latest != self.modified:
            self.modified, self.since, self.allowed = latest, now, float(settings.WATCHDOG_SECONDS)
        return now - self.since

    def excuse(self, now: float) -> None:
        """Start counting anew."""
        self.since = now


class Cluster(Child):
    """A cluster of workers. It is ended when its canary or its sentinel falls silent though the database answers."""

    def __init__(self, name: str, group: ProcessGroup) -> None:
        super().__init__(name, group)
        self._signs: list[Sign] = []
        self._asked_at = self._away_at = float("-inf")
        self._looked_at = 0.0

    def start(self) -> None:
        """Start the cluster with a clean slate."""
        runfiles.forget_cluster(self.name)
        runfiles.allow_to_run(self.name)
        super().start()
        self._looked_at = self.started_at
        self._signs = [
            Sign("canary", runfiles.canary_file(self.name), self.started_at),
            Sign("sentinel", runfiles.members_file(self.name), self.started_at),
        ]

    def _complaint(self, now: float, database_answers: Callable[[], bool]) -> str:
        died = super()._complaint(now, database_answers)
        if died:
            return died
        if now - self._looked_at > _FROZEN_SECONDS:  # a suspended machine: whoever was silent meanwhile was not to blame
            for sign in self._signs:
                sign.excuse(now)
        self._looked_at = now
        for sign in self._signs:
            silent = sign.silence(now)
            if sign.what == "canary" and silent > 1 and self._all_busy():
                sign.excuse(now)
            elif silent > sign.allowed and not self._blames_database(now, database_answers):
                return f"its {sign.what} was silent for {silent:.0f} s"
        return ""

    def _blames_database(self, now: float, database_answers: Callable[[], bool]) -> bool:
        # without a database nothing comes through, and when it is back the pusher takes some ten seconds to notice
        if now - self._asked_at >= _ASK_EVERY_SECONDS:
            self._asked_at = now
            if not database_answers():
                self._away_at = now
        return now - self._away_at < settings.WATCHDOG_SECONDS + _RECOVERY_SECONDS

    def _all_busy(self) -> bool:
        # a canary waits its turn behind tasks; a task past its time limit is no excuse
        busy = runfiles.busy_workers(self.name)
        oldest = time.time() - cluster_setting(self.name, "timeout") - settings.WATCHDOG_SECONDS
        return sum(began > oldest for began in busy.values()) >= cluster_setting(self.name, "workers")


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def cluster_setting(cluster: str, name: str) -> int:
    """Return a number from the settings of a cluster."""
    return int(settings.Q_CLUSTER["ALT_CLUSTERS"].get(cluster, settings.Q_CLUSTER)[name])


def web() -> Web:
    """Return the web server."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:core.supervisor.web"]
    # large bodies are given back to the system: glibc would keep more of them on the heap of each thread as it goes
    return Web("web", ProcessGroup("web", command, {"MALLOC_MMAP_THRESHOLD_": "1048576"}))


def cluster(name: str) -> Cluster:
    """Return one cluster of workers."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "qcluster", "--skip-checks"]
    return Cluster(name, ProcessGroup(name, command, {"Q_CLUSTER_NAME": name}))
