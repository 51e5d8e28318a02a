"""A portal of real processes on a data folder of its own, for tests that kill parts of it."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repoguard import keys

ROOT = Path(__file__).resolve().parent.parent.parent
_PREPARED = Path(tempfile.mkdtemp(prefix="repoguard-prepared-"))
_OWNER = os.getpid()
# forked children run exit handlers too, and must leave it alone
atexit.register(lambda: os.getpid() == _OWNER and shutil.rmtree(_PREPARED, ignore_errors=True))
MANAGE = [sys.executable, str(ROOT / "manage.py")]


class Portal:
    """A supervisor started by manage.py; `folder` is its data folder."""

    def __init__(self, folder: Path, only: str, **environment: str) -> None:
        self.folder = folder
        self._only = only
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
        self.environment = clean | {"REPOGUARD_DATA_DIR": str(folder), "REPOGUARD_ENV_FILE": os.devnull} | environment
        if "DATABASE_URL" not in environment:
            self.environment.pop("DATABASE_URL", None)  # a database file: this is about processes
        self.process: subprocess.Popen[bytes] | None = None
        self.started: list[subprocess.Popen[bytes]] = []
        self.log = folder / "supervisor.log"

    def manage(self, *arguments: str) -> str:
        """Run a management command and return what it printed."""
        done = subprocess.run([*MANAGE, *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*MANAGE, "supervise", "--only", self._only], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.started.append(self.process)
        return self.process

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def members(self, cluster: str) -> dict[str, Any]:
        try:
            return dict(json.loads((self.folder / "run" / f"members.{cluster}.json").read_text()))
        except FileNotFoundError:
            return {}

    def processes(self) -> dict[int, str]:
        """Return every live process of this portal with its command line, found by its data folder's name."""
        mark = f"REPOGUARD_DATA_DIR={self.folder}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def sing(self, cluster: str) -> float:
        """Return when a canary last came through (Unix time), or 0."""
        try:
            return (self.folder / "run" / f"canary.{cluster}").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def ask(self, sql: str) -> Any:
        with sqlite3.connect(self.folder / "db.sqlite3", timeout=20) as database:
            row = database.execute(sql).fetchone()
        return row[0] if row else None


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}")


def _prepare(portal: Portal) -> None:
    """Give a portal its keys and its database; all that use a database file get a copy of the first one's, as migrating takes seconds."""
    prepared = _PREPARED / "portal"
    if prepared.exists() and "DATABASE_URL" not in portal.environment:
        shutil.copytree(prepared, portal.folder, dirs_exist_ok=True)
        return
    portal.folder.mkdir(exist_ok=True)
    keys.create_missing(portal.folder)
    portal.manage("prepare")
    if "DATABASE_URL" not in portal.environment:
        shutil.copytree(portal.folder, prepared)


@contextmanager
def running(folder: Path, only: str = "default", **environment: str) -> Iterator[Portal]:
    """Prepare and start a portal, and leave no process of it behind."""
    portal = Portal(folder, only, **environment)
    _prepare(portal)
    portal.start()
    try:
        yield portal
    finally:
        while left := portal.processes():
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for process in portal.started:
                process.wait(10)
            time.sleep(0.05)
