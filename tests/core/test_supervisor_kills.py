"""kill -9 of any process of a cluster: afterwards one whole cluster runs again, and nothing is left over."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.supervisor import alive
from tests.core.portal import Portal, running, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.once]
# what a silent cluster is given, plus a start on a busy machine
HEALED_SECONDS = 45
QUICK = {"WATCHDOG_SECONDS": "6"}


def whole(portal: Portal, cluster: str, killed: int = 0, killed_at: float = 0) -> dict[str, Any] | None:
    """Return the cluster's members once exactly they live, and a task came through all of them after the kill."""
    members = portal.members(cluster)
    if not members or portal.sing(cluster) < killed_at + 1:
        return None
    noted = {members["parent"], members["sentinel"], members["monitor"], members["pusher"], *members["workers"]}
    running = {pid for pid, command in portal.processes().items() if " qcluster" in command}
    return members if noted == running and killed not in noted and len(noted) == 6 else None


def healthy(portal: Portal, killed: int = 0, killed_at: float = 0) -> dict[str, Any]:
    return wait_for(lambda: whole(portal, "default", killed, killed_at), "one whole cluster that runs tasks", HEALED_SECONDS)


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """Return one portal for all that only kill parts of it; each test leaves it whole."""
    with running(tmp_path_factory.mktemp("kills") / "var", **QUICK) as portal:
        yield portal


def test_a_killed_member_is_healed_and_nothing_is_left_over(portal: Portal) -> None:
    members = healthy(portal)
    for victim in ("workers", "monitor", "pusher", "sentinel", "parent"):
        # one of the idle workers waits next in line, holding the lock of the others
        pids = members["workers"] if victim == "workers" else [members[victim]]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        members = healthy(portal, pids[0], time.time())


def test_a_second_supervisor_says_that_one_runs(portal: Portal) -> None:
    healthy(portal)
    second = Portal(portal.folder, "default")
    assert second.start().wait(60) == 2
    assert "already runs" in portal.log.read_text()
    assert healthy(portal)


def test_a_killed_supervisor_takes_everything_with_it_and_a_stopped_one_too(portal: Portal) -> None:
    healthy(portal)
    assert portal.process is not None
    portal.process.kill()
    portal.process.wait()
    wait_for(lambda: not portal.processes(), "the end of all its processes", HEALED_SECONDS)
    portal.start()
    healthy(portal)
    assert portal.stop() == 0
    assert portal.processes() == {}
    portal.start()
    healthy(portal)


def test_messages_may_be_in_redis(tmp_path: Path, redis_url: str) -> None:
    """The cluster sings, and its start tasks and schedules run, with Redis as the broker."""
    with running(tmp_path / "var", only="deliveries", QUEUE_URL=redis_url) as portal:
        wait_for(lambda: portal.sing("deliveries"), "a canary", HEALED_SECONDS)
        wait_for(lambda: portal.ask("SELECT count(*) FROM core_slot WHERE holder_id IS NOT NULL"), "a drain in its slot", HEALED_SECONDS)
        assert portal.ask("SELECT count(*) FROM django_q_ormq") == 0
        assert portal.stop() == 0


def test_the_web_server_dies_with_its_supervisor_and_frees_the_port(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(tmp_path / "var", only="web", PORT=str(port), WEB_PROCESSES="1") as portal:
        for _ in range(2):
            wait_for(lambda: alive.web_answers(port, "localhost"), "an answer of the web server", HEALED_SECONDS)
            assert portal.process is not None
            portal.process.kill()
            portal.process.wait()
            wait_for(lambda: not portal.processes(), "the end of all its processes", HEALED_SECONDS)
            portal.start()
        wait_for(lambda: alive.web_answers(port, "localhost"), "an answer of the web server", HEALED_SECONDS)
        assert portal.stop() == 0
