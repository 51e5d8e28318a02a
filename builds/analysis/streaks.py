"""Red streaks: from the first failure of a branch and workflow to the first success after it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from builds.analysis.measures import Top, is_red, last_first, recovery
from builds.analysis.scope import Row
from builds.choices import JUDGED

MOST_GROUPS = 25
_JUDGED = frozenset(JUDGED)


@dataclass
class _Streak:
    began: datetime
    failures: int = 0
    recovered: datetime | None = None

    def seconds(self) -> float | None:
        return (self.recovered - self.began).total_seconds() if self.recovered else None

    def shown(self) -> dict[str, Any]:
        return {"since": self.began.isoformat(), "failures": self.failures, "seconds": self.seconds(), "ongoing": self.recovered is None}


@dataclass
class _Side:
    """The streaks of some branches together."""

    times: array[float] = field(default_factory=lambda: array("d"))
    ongoing: int = 0

    def shown(self) -> dict[str, Any]:
        return {**recovery(self.times), "ongoing": self.ongoing}


class Streaks:
    """Takes the builds of one (project, workflow, branch) after the other, each in the order in which they ended.

    Only completed builds that are no pull request's count: those are named after a branch that they don't stand for.
    """

    def __init__(self, until: datetime) -> None:
        self.until = until
        self.default, self.every = _Side(), _Side()
        self.groups = Top(MOST_GROUPS)
        self._open: _Streak | None = None
        self._longest: _Streak | None = None
        self._times = array("d")

    def add(self, row: Row) -> None:
        """Take the next build of the present group."""
        if row.status not in _JUDGED or row.is_pull_request:
            return
        if is_red(row.status):
            self._open = self._open or _Streak(row.end)
            self._open.failures += 1
        elif self._open:
            self._open.recovered = row.end
            self._times.append((row.end - self._open.began).total_seconds())
            self._close(self._open)

    def end_group(self, last: Row) -> None:
        """Close the group that `last` belongs to."""
        ongoing = self._open
        if ongoing:
            self._close(ongoing)
        for side in (self.every, self.default) if last.on_default_branch else (self.every,):
            side.times.extend(self._times)
            side.ongoing += ongoing is not None
        if self._longest:
            self._offer(last, ongoing, self._longest)
        self._longest, self._times = None, array("d")

    def shown(self) -> dict[str, Any]:
        """Return the measures; the default branches' are the headline."""
        return {"default_branch": self.default.shown(), "all_branches": self.every.shown(), "groups": self.groups.entries()}

    def _close(self, streak: _Streak) -> None:
        if self._longest is None or streak.failures > self._longest.failures:
            self._longest = streak
        self._open = None

    def _offer(self, last: Row, ongoing: _Streak | None, longest: _Streak) -> None:
        entry = {
            "project": last.project,
            "workflow": last.workflow,
            "branch": last.branch,
            "is_default": last.on_default_branch,
            **recovery(self._times),
            "longest_streak": longest.shown(),
            "ongoing": ongoing.shown() if ongoing else None,
        }
        open_for = (self.until - ongoing.began).total_seconds() if ongoing else 0.0
        red = round(sum(self._times) + max(0.0, open_for), 3)
        self.groups.offer((last.on_default_branch, red, *last_first(last.project, last.workflow, last.branch)), entry)
