"""What the database groups: failures by branch, flaky commits, pushes to default branches. One statement each."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from django.db.models import Count, Max, Q

from builds.analysis.measures import Top, last_first, rate
from builds.analysis.scope import END, Scope, on_default_branch, plainly
from builds.choices import FAILED, JUDGED, BuildStatus

MOST_BRANCHES = 50
MOST_FLAKY = 10
_CHUNK = 5000
_RED = Count("id", filter=Q(status__in=FAILED))
_COMPLETED = Count("id", filter=Q(status__in=JUDGED))
_GREEN = Count("id", filter=Q(status=BuildStatus.SUCCESS))


def by_branch(scope: Scope) -> list[dict[str, Any]]:
    """Return the failure rate of the branches with most failures, of all their workflows together."""
    groups = scope.builds().filter(status__in=JUDGED).values("project", "branch").annotate(completed=_COMPLETED, failed=_RED)
    rows = groups.order_by("-failed", "-completed", plainly("project"), plainly("branch"))[:MOST_BRANCHES]
    return [{**row, "failure_rate": rate(row["failed"], row["completed"])} for row in rows]


def flaky(scope: Scope) -> dict[str, Any]:
    """Return how many commits both failed and passed in the same workflow, of those that failed, and where most are.

    A commit counts once for each workflow. Attempts and runs of their own are alike.
    """
    groups = scope.builds().filter(status__in=JUDGED).exclude(commit="").values("project", "workflow", "commit")
    failed = groups.annotate(red=_RED, green=_GREEN, last=Max(END)).filter(red__gt=0).order_by("project", "workflow")
    names = ("project", "workflow")
    total = flaky_total = 0
    top = Top(MOST_FLAKY)
    rows = failed.values_list(*names, "commit", "green", "last").iterator(chunk_size=_CHUNK)
    for (project, workflow), commits in groupby(rows, key=lambda row: (row[0], row[1])):
        count = both = 0
        latest: tuple[Any, str] | None = None
        for _project, _workflow, commit, green, last in commits:
            count += 1
            if green:
                both += 1
                latest = max(latest, (last, commit)) if latest else (last, commit)
        total, flaky_total = total + count, flaky_total + both
        if latest:
            entry = {"project": project, "workflow": workflow, **_rates(both, count), "latest_commit": latest[1]}
            top.offer((both, entry["flake_rate"], *last_first(project, workflow)), entry)
    return {**_rates(flaky_total, total), "workflows": top.entries()}


def pushes(scope: Scope) -> dict[str, Any]:
    """Return the commits pushed to default branches that have a completed build, and those of them with a failed one."""
    pushed = scope.builds().filter(on_default_branch(), status__in=JUDGED, is_pull_request=False, event__in=["", "push"])
    commits = pushed.exclude(commit="").values("project", "commit").annotate(red=_RED)
    found = commits.aggregate(pushes=Count("*"), failed=Count("commit", filter=Q(red__gt=0)))
    return {"pushes": found["pushes"], "failed": found["failed"], "rate": rate(found["failed"], found["pushes"])}


def _rates(both: int, count: int) -> dict[str, Any]:
    return {"flaky_commits": both, "failed_commits": count, "flake_rate": rate(both, count)}
