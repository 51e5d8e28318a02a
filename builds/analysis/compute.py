"""The measures of a scope, as JSON: one ordered pass and three grouped statements, however many builds there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from builds.analysis import groups
from builds.analysis.dora import Deployments, dora
from builds.analysis.measures import Tally, percentiles, rate
from builds.analysis.scope import Row, Scope
from builds.analysis.streaks import Streaks
from builds.analysis.trend import Trend, Week
from builds.analysis.workflows import Workflows
from builds.choices import BuildStatus

COMPARED = {
    "builds": ("builds",),
    "success_rate": ("success_rate",),
    "p50_seconds": ("duration_seconds", "p50"),
    "p90_seconds": ("duration_seconds", "p90"),
    "p95_seconds": ("duration_seconds", "p95"),
    "mttr_seconds": ("mttr", "default_branch", "mean_seconds"),
    "ongoing_red_streaks": ("mttr", "default_branch", "ongoing"),
    "flake_rate": ("flaky", "flake_rate"),
    "deployments": ("dora", "deployment_frequency", "deployments"),
    "change_failure_proxy": ("dora", "change_failure_proxy", "rate"),
}
"""What a comparison compares, and where the measure stands in a result."""


class Pass:
    """Takes builds as Scope.rows() orders them; holds one double for each duration and time to recovery, and no build."""

    def __init__(self, scope: Scope) -> None:
        self.tally, self.durations = Tally(), array("d")
        self.workflows, self.streaks = Workflows(), Streaks(scope.until)
        self.trend, self.week = Trend(scope.since, scope.until), Week()
        self.deployments = Deployments(scope.since, scope.until)

    def run(self, rows: Iterable[Row]) -> None:
        """Take all builds."""
        last: Row | None = None
        for row in rows:
            if last is not None and last[:3] != row[:3]:
                self.streaks.end_group(last)
                if last[:2] != row[:2]:
                    self.workflows.end_workflow(last)
            self._take(row)
            last = row
        if last is not None:
            self.streaks.end_group(last)
            self.workflows.end_workflow(last)

    def _take(self, row: Row) -> None:
        start = row.start
        duration = row.seconds if row.status == BuildStatus.SUCCESS and row.is_last else None
        self.tally.by_status[row.status] += 1
        if duration is not None:
            self.durations.append(duration)
        self.workflows.add(row, duration)
        self.streaks.add(row)
        self.trend.add(row, start, duration)
        self.week.add(row, start)
        self.deployments.add(row, start)


def measures(scope: Scope) -> dict[str, Any]:
    """Return every measure of the builds in a scope."""
    with _snapshot():
        taken = Pass(scope)
        taken.run(scope.rows())
        branches, flaky, pushes = groups.by_branch(scope), groups.flaky(scope), groups.pushes(scope)
    tally = taken.tally
    return {
        "window": {"since": scope.since.isoformat(), "until": scope.until.isoformat()},
        "builds": tally.by_status.total(),
        "counts": tally.counts(),
        "completed": tally.completed,
        "success_rate": rate(tally.completed - tally.failed, tally.completed),
        "duration_seconds": percentiles(taken.durations),
        "mttr": taken.streaks.shown(),
        "flaky": flaky,
        "failure_rate": {"by_branch": branches, "by_workflow": taken.workflows.by_failures.entries(), **taken.week.shown()},
        "trend": taken.trend.shown(),
        "slowest_workflows": taken.workflows.slowest.entries(),
        "dora": dora(taken.deployments, pushes),
    }


def comparison(now: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return the measures of two windows side by side; `change` is the first less the other, null where either is unknown."""
    rows = []
    for name, path in COMPARED.items():
        value, before = _at(now, path), _at(other, path)
        change = None if value is None or before is None else round(value - before, 6)
        rows.append({"measure": name, "value": value, "compared": before, "change": change})
    return {"window": other["window"], "measures": rows}


def _at(found: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        found = found[name]
    return found


@contextmanager
def _snapshot() -> Iterator[None]:
    """Have all statements see the same builds, on PostgreSQL; on SQLite a transaction would keep all writers out."""
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield
