"""Starts one cluster of workers: django-q2's command, with its processes tied to one another and its health made visible.

`Q_CLUSTER_NAME=deliveries manage.py qcluster` (or `-n deliveries`) sends webhooks; without a name it does everything else.
`manage.py supervise` runs it, and starts it again when it falls silent.
"""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any

from django.core.management.base import CommandError
from django.db import connections
from django_q.cluster import Cluster
from django_q.management.commands.qcluster import Command as QClusterCommand
from django_q.signals import post_execute, post_execute_in_worker, pre_execute

from core import canary, queue, runfiles, schedules
from core.supervisor import leash


class StoppableCluster(Cluster):
    """A cluster whose long tasks hear that it stops: django-q2 waits for running tasks, and tells them nothing."""

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        """Stop on SIGTERM or SIGINT."""
        runfiles.ask_to_stop(runfiles.cluster_name())
        super().sig_handler(signum, frame)


class Command(QClusterCommand):
    """See the module."""

    help = "Starts one cluster of workers (the one that Q_CLUSTER_NAME or --name names)."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the cluster until it is told to stop."""
        self._adopt_name(options["cluster_name"])
        cluster = runfiles.cluster_name()
        if cluster not in queue.CLUSTERS:
            raise CommandError(f"There is no cluster {cluster!r}: set Q_CLUSTER_NAME to one of {', '.join(queue.CLUSTERS)}.")
        runfiles.forget_cluster(cluster)
        runfiles.allow_to_run(cluster)
        leash.tie_forks()
        watch_tasks(cluster)
        schedules.enqueue_start_tasks(cluster)
        connections.close_all()  # a connection must not be shared with the processes forked next
        running = StoppableCluster()
        running.start()
        if options["run_once"]:
            running.stop()

    @staticmethod
    def _adopt_name(name: str | None) -> None:
        # django-q2 has read the variable when it was imported, so a name given here needs a fresh start
        if name and name != runfiles.cluster_name():
            os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {"Q_CLUSTER_NAME": name})  # noqa: S606


def watch_tasks(cluster: str) -> None:
    """Note the canaries that come through this cluster, and which of its workers are busy."""
    perch = canary.Perch(cluster)

    def begin(task: dict[str, Any], **_: Any) -> None:
        if task["func"] != canary.TASK:
            runfiles.mark_busy(cluster, os.getpid())

    def end(task: dict[str, Any], **_: Any) -> None:
        if task["func"] != canary.TASK:
            runfiles.mark_idle(cluster, os.getpid())

    def note(task: dict[str, Any], **_: Any) -> None:
        if task["func"] == canary.TASK:
            perch.note()

    pre_execute.connect(begin, weak=False)
    post_execute_in_worker.connect(end, weak=False)
    post_execute.connect(note, weak=False)
