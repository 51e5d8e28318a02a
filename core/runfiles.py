"""Small files by which the processes of one machine know of each other, in `<data dir>/run`.

They hold nothing that is needed after a restart: the folder may be deleted while the portal is stopped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

DEFAULT_CLUSTER = "default"


def run_dir() -> Path:
    """Return the folder, made when missing and open to its owner only."""
    path = Path(settings.DATA_DIR) / "run"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def cluster_name() -> str:
    """Return the name of the cluster that this process belongs to (as django-q2 reads it)."""
    return os.environ.get("Q_CLUSTER_NAME") or DEFAULT_CLUSTER


def stopping(cluster: str = "") -> bool:
    """Say whether this process's cluster (or `cluster`) was told to stop: tasks that run long end soon then, and start no other."""
    return _stop_flag(cluster or cluster_name()).exists()


def ask_to_stop(cluster: str) -> None:
    """Tell the tasks of a cluster on this machine to come to an end."""
    _stop_flag(cluster).touch()


def allow_to_run(cluster: str) -> None:
    """Take the order to stop back: the cluster starts anew."""
    _stop_flag(cluster).unlink(missing_ok=True)


def canary_file(cluster: str) -> Path:
    """Return the file that the cluster's monitor touches whenever a canary came through (core/canary.py)."""
    return run_dir() / f"canary.{cluster}"


def members_file(cluster: str) -> Path:
    """Return the file in which the cluster's sentinel keeps its members' process ids; its age is the sentinel's heartbeat."""
    return run_dir() / f"members.{cluster}.json"


def write_members(cluster: str, members: Mapping[str, object]) -> None:
    """Write the members' process ids (JSON), whole or not at all."""
    path = members_file(cluster)
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(members), encoding="utf-8")
    draft.replace(path)


def members(cluster: str) -> dict[str, Any]:
    """Return the process ids `parent`, `sentinel`, `monitor`, `pusher` and `workers` (a list), or nothing when none are noted."""
    try:
        noted: dict[str, Any] = json.loads(members_file(cluster).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return noted


def mark_busy(cluster: str, pid: int) -> None:
    """Note that worker `pid` of the cluster runs a task."""
    _busy_file(cluster, pid).touch()


def mark_idle(cluster: str, pid: int) -> None:
    """Note that worker `pid` of the cluster waits for a task."""
    _busy_file(cluster, pid).unlink(missing_ok=True)


def busy_workers(cluster: str) -> dict[int, float]:
    """Return the workers that run a task, each with the time (Unix) at which it began; killed ones are cleared away."""
    found = {}
    for path in run_dir().glob(f"busy.{cluster}.*"):
        pid = int(path.suffix[1:])
        try:
            os.kill(pid, 0)
            found[pid] = path.stat().st_mtime
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except (PermissionError, FileNotFoundError):
            continue  # another user's process has taken the id, or the task ended just now
    return found


def forget_cluster(cluster: str) -> None:
    """Delete what an ended cluster left."""
    canary_file(cluster).unlink(missing_ok=True)
    members_file(cluster).unlink(missing_ok=True)
    for path in run_dir().glob(f"busy.{cluster}.*"):
        path.unlink(missing_ok=True)


def _stop_flag(cluster: str) -> Path:
    return run_dir() / f"stopping.{cluster}"


def _busy_file(cluster: str, pid: int) -> Path:
    return run_dir() / f"busy.{cluster}.{pid}"
