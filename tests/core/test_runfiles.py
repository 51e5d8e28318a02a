"""What the processes of a machine know of each other."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator

import pytest

from core import runfiles

CLUSTER = "testing"


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    yield
    runfiles.forget_cluster(CLUSTER)
    runfiles.allow_to_run(CLUSTER)


def test_the_folder_is_its_owners_only() -> None:
    assert stat.S_IMODE(runfiles.run_dir().stat().st_mode) == 0o700


def test_a_cluster_is_told_to_stop_and_may_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Q_CLUSTER_NAME", CLUSTER)
    assert not runfiles.stopping()
    runfiles.ask_to_stop(CLUSTER)
    assert runfiles.stopping()
    assert not runfiles.stopping("default")
    runfiles.allow_to_run(CLUSTER)
    assert not runfiles.stopping()


def test_members_are_read_as_they_were_written() -> None:
    assert runfiles.members(CLUSTER) == {}
    runfiles.write_members(CLUSTER, {"parent": 1, "workers": [2, 3]})
    assert runfiles.members(CLUSTER) == {"parent": 1, "workers": [2, 3]}


def test_busy_workers_are_those_that_live_and_work() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for pid in (os.getpid(), ended.pid):
        runfiles.mark_busy(CLUSTER, pid)
    assert set(runfiles.busy_workers(CLUSTER)) == {os.getpid()}
    runfiles.mark_idle(CLUSTER, os.getpid())
    assert runfiles.busy_workers(CLUSTER) == {}


def test_an_ended_cluster_leaves_nothing() -> None:
    runfiles.write_members(CLUSTER, {})
    runfiles.canary_file(CLUSTER).touch()
    runfiles.mark_busy(CLUSTER, os.getpid())
    runfiles.forget_cluster(CLUSTER)
    assert [path.name for path in runfiles.run_dir().glob(f"*{CLUSTER}*")] == []
