"""Measures of each workflow, one workflow after the other, of which the most telling are kept."""

from __future__ import annotations

from array import array
from typing import Any

from builds.analysis.measures import Tally, Top, last_first, percentiles
from builds.analysis.scope import Row

MOST_BY_RATE = 50
MOST_SLOWEST = 10


class Workflows:
    """Takes the builds of one (project, workflow) after the other."""

    def __init__(self) -> None:
        self.by_failures, self.slowest = Top(MOST_BY_RATE), Top(MOST_SLOWEST)
        self._tally, self._durations = Tally(), array("d")

    def add(self, row: Row, duration: float | None) -> None:
        """Take a build of the present workflow; `duration` only if it counts."""
        self._tally.by_status[row.status] += 1
        if duration is not None:
            self._durations.append(duration)

    def end_workflow(self, last: Row) -> None:
        """Close the workflow that `last` belongs to."""
        tally, names = self._tally, {"project": last.project, "workflow": last.workflow}
        first = last_first(last.project, last.workflow)
        if tally.completed:
            self.by_failures.offer((tally.failed, tally.completed, *first), {**names, **tally.rates()})
        if self._durations:
            found: dict[str, Any] = percentiles(self._durations)
            self.slowest.offer((found["p95"], found["p50"], *first), {**names, **found})
        self._tally, self._durations = Tally(), array("d")
