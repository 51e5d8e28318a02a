"""One supervised program with everything it forks: a process group that can be found again and ended whole."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from core import runfiles
from core.supervisor import leash

logger = logging.getLogger(__name__)
TOKEN_VARIABLE = "REPOGUARD_SUPERVISED"  # noqa: S105 - a mark in the environment, not a secret
_DEATH_SECONDS = 5.0


class ProcessGroup:
    """A program in a session of its own. Its token, in the environment of all its processes, outlives parents and groups."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._command = list(command)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._token = ""

    @property
    def pid(self) -> int:
        """The program's process id, or 0 while it does not run."""
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the program, tied to this process."""
        self._token = secrets.token_hex(16)
        self._remember()
        command = [sys.executable, str(Path(leash.__file__)), str(os.getpid()), *self._command]
        environment = os.environ | self._environment | {TOKEN_VARIABLE: self._token}
        self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603

    def exit_code(self) -> int | None:
        """Return the program's exit code, or None while it runs (or was never started)."""
        return self._process.poll() if self._process else None

    def ask_to_end(self) -> None:
        """Send SIGTERM to the program itself; django-q2 hangs when its children get it too."""
        if self._process and self._process.poll() is None:
            self._process.terminate()

    def end(self) -> None:
        """Kill whatever is left of the program, and wait until nothing is."""
        if self._process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._token:
            end_marked(self._token)
        if self._process:
            with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in the kernel; end_marked() has said so
                self._process.wait(_DEATH_SECONDS)
        self._process = None

    def end_predecessor(self) -> bool:
        """End what a killed supervisor left of this program; return whether there was anything."""
        try:
            token = str(json.loads(self._state_file().read_text(encoding="utf-8"))["token"])
        except (FileNotFoundError, ValueError, KeyError):
            return False
        return end_marked(token) > 0

    def _remember(self) -> None:
        path = self._state_file()
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps({"token": self._token, "supervisor": os.getpid()}), encoding="utf-8")
        draft.replace(path)

    def _state_file(self) -> Path:
        return runfiles.run_dir() / f"group.{self.name}.json"


def end_marked(token: str) -> int:
    """Kill every process of this user that carries the token, until none is left; return how many were found."""
    found = 0
    deadline = time.monotonic() + _DEATH_SECONDS
    while pids := marked(token):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                found += 1
            except ProcessLookupError:
                continue
        if time.monotonic() > deadline:
            logger.error("processes_do_not_die", extra={"pids": pids})
            break
        time.sleep(0.02)
    return found


def marked(token: str) -> list[int]:
    """Return the live processes whose environment carries the token (Linux; elsewhere none are found)."""
    mark = f"{TOKEN_VARIABLE}={token}".encode()
    own = os.getpid()
    pids = (int(entry) for entry in (os.listdir("/proc") if os.path.isdir("/proc") else []) if entry.isdigit())
    return [pid for pid in pids if pid != own and mark in _environment(pid)]


def _environment(pid: int) -> bytes:
    # a zombie has no environment left to read, and another user's is closed to us
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""
