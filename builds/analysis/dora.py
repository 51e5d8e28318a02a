"""DORA's measures, as far as builds can know them, each with how it was found or why it is missing."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

from builds.analysis.measures import nearest_rank
from builds.analysis.scope import Row
from builds.choices import BuildStatus

DEPLOY_WORD, DEPLOY_EVENT = "deploy", "deployment"
HOW_DEPLOYMENTS = (
    'A deployment is a successful build whose workflow\'s name contains "deploy" (in any case) or whose event is "deployment". '
    "Environments aren't known, so deployments to test systems count, too."
)
NO_DEPLOYMENT = 'No successful build of the window has "deploy" in its workflow\'s name or the event "deployment".'
NO_LEAD_TIME = "Builds carry no times of their commits, so the time from commit to production is not known."
PROXY = (
    "A proxy, not DORA's change failure rate: commits pushed to the default branch with a failed build, of those with a completed "
    "one. What failed in production is not known."
)
MTTR_NOTE = "Time to restore service is not known; time to recovery of builds on default branches (mttr) is the nearest measure."


class Deployments:
    """Counts successful deployments by day (UTC)."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.since, self.until = since, until
        self._days: Counter[int] = Counter()

    def add(self, row: Row, start: datetime) -> None:
        """Take a build."""
        if row.status == BuildStatus.SUCCESS and (row.event == DEPLOY_EVENT or DEPLOY_WORD in row.workflow.lower()):
            self._days[start.toordinal()] += 1

    def shown(self) -> dict[str, Any]:
        """Return how many there are a week; nulls with the reason where there are none."""
        count = self._days.total()
        weeks = (self.until - self.since).total_seconds() / timedelta(weeks=1).total_seconds()
        return {
            "deployments": count,
            "per_week": round(count / weeks, 3) if count else None,
            "median_days_per_week": self._median_days() if count else None,
            "definition": HOW_DEPLOYMENTS,
            "reason": "" if count else NO_DEPLOYMENT,
        }

    def _median_days(self) -> float | None:
        """Return the median, over the weeks from Monday that the window touches, of the days with a deployment."""
        first, last = self.since.toordinal(), (self.until - timedelta(microseconds=1)).toordinal()
        monday = first - date.fromordinal(first).weekday()
        days = [0] * ((last - monday) // 7 + 1)
        for day in self._days:
            days[(day - monday) // 7] += 1
        return nearest_rank(sorted(days), 50)


def dora(deployments: Deployments, pushes: dict[str, Any]) -> dict[str, Any]:
    """Return the four measures."""
    return {
        "deployment_frequency": deployments.shown(),
        "lead_time_seconds": {"value": None, "reason": NO_LEAD_TIME},
        "change_failure_proxy": {**pushes, "definition": PROXY},
        "time_to_restore": {"value": None, "reason": MTTR_NOTE},
    }
