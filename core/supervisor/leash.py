"""Ties a process to its parent: Linux kills it when the parent dies, however the parent dies.

Run as `python leash.py <parent pid> <command…>` it ties itself and becomes the command. It stands alone, without Django,
since it runs before every child.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def tie(parent_pid: int) -> None:
    """Have this process killed as soon as `parent_pid`, its parent, is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it was gone before the tie
        os.kill(os.getpid(), signal.SIGKILL)


def tie_forks() -> None:
    """Tie every process that this one and its children fork from now on to the process that forks it."""
    forking: list[int] = [os.getpid()]

    def remember() -> None:
        forking[0] = os.getpid()

    os.register_at_fork(before=remember, after_in_child=lambda: tie(forking[0]))


def main(arguments: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    tie(int(arguments[0]))
    os.execv(arguments[1], arguments[1:])  # noqa: S606 - the supervisor's own command, without a shell


if __name__ == "__main__":
    main(sys.argv[1:])
