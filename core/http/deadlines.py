"""Ends requests that take too long: one timer looks at all of them, where asyncio.timeout would set and cancel one for each."""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType
from typing import Self

LOOK_SECONDS = 0.02


class Deadline:
    """Use it as `with`: what runs inside for too long is cancelled, and leaves it as a TimeoutError."""

    __slots__ = ("_all", "_cancelled_before", "_task", "expired", "when")

    def __init__(self, every: Deadlines, when: float) -> None:
        self._all = every
        self.when = when
        self.expired = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("A deadline is for a task.")
        self._task, self._cancelled_before = task, task.cancelling()
        self._all.add(self)
        return self

    def expire(self) -> None:
        """Cancel what runs inside."""
        self.expired = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._all.discard(self)
        # whoever else cancelled the task means the task itself: that goes on, as in asyncio.timeout
        if self.expired and self._task.uncancel() <= self._cancelled_before and kind is asyncio.CancelledError:
            raise TimeoutError from error


class Deadlines:
    """The deadlines of one event loop; one is noticed at most LOOK_SECONDS late."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float) -> Deadline:
        """Return a deadline so many seconds from now."""
        return Deadline(self, monotonic() + seconds)

    def add(self, deadline: Deadline) -> None:
        """Look after a deadline."""
        self._open.add(deadline)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def discard(self, deadline: Deadline) -> None:
        """Look after it no longer."""
        self._open.discard(deadline)

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        now = monotonic()
        for deadline in [deadline for deadline in self._open if deadline.when <= now]:
            self._open.discard(deadline)
            deadline.expire()
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look) if self._open else None
