"""The supervisor: keeps its programs running until it is told to stop, then ends them in an order that loses nothing."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import IO

from django.conf import settings

from core import runfiles
from core.supervisor import database
from core.supervisor.child import CannotStart, Child, Cluster

logger = logging.getLogger(__name__)
_LOOK_EVERY_SECONDS = 0.2
DRAIN_SECONDS = 10.0
END_SECONDS = 10.0


class Supervisor:
    """Supervises programs in the process that calls run(); one supervisor for each program and data folder."""

    def __init__(self, children: Sequence[Child], on_ready: Callable[[], None] = lambda: None) -> None:
        self._children = list(children)
        self._on_ready = on_ready
        self._stops = 0
        self._locks: list[IO[str]] = []

    def claim(self) -> None:
        """Make sure that the programs can run here, and that no other supervisor runs them. Raises CannotStart."""
        self._lock()
        for child in self._children:
            if child.group.end_predecessor():
                logger.warning("ended_leftovers", extra={"child": child.name})
            child.check()

    def run(self) -> None:
        """Supervise until SIGTERM or SIGINT, after claim() unless that was called before. Raises CannotStart."""
        if not self._locks:
            self.claim()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            while not self._stops:
                for child in self._children:
                    child.look(database.answers)
                reap({child.group.pid for child in self._children})
                self._on_ready()
                time.sleep(_LOOK_EVERY_SECONDS)
            self._stop()
        finally:
            for child in self._children:
                child.group.end()

    def _lock(self) -> None:
        for child in self._children:
            handle = (runfiles.run_dir() / f"supervisor.{child.name}.lock").open("w")
            self._locks.append(handle)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise CannotStart(
                    f"RepoGuard ({child.name}) already runs on {settings.DATA_DIR}. Stop it first, or give this one a REPOGUARD_DATA_DIR."
                ) from error

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stops += 1

    def _stop(self) -> None:
        logger.info("stopping")
        clusters = [child for child in self._children if isinstance(child, Cluster)]
        for child in self._children:
            if child not in clusters:
                child.ask_to_end()
        for child in clusters:
            runfiles.ask_to_stop(child.name)
        self._wait(lambda: not any(_at_work(child) for child in clusters), DRAIN_SECONDS)
        for child in clusters:
            child.ask_to_end()
        self._wait(lambda: all(child.ended() for child in self._children), END_SECONDS)
        logger.info("stopped")

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        # a second signal is impatience
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline and self._stops < 2:
            reap({child.group.pid for child in self._children})
            time.sleep(0.05)


def _at_work(child: Child) -> bool:
    return not child.ended() and bool(runfiles.busy_workers(child.name))


def reap(own: set[int]) -> None:
    """As the first process of a container, bury orphans that died; `own` children are left to whoever waits for them."""
    if os.getpid() != 1:
        return
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None or dead.si_pid in own:
                return
            os.waitpid(dead.si_pid, 0)
        except ChildProcessError:
            return
