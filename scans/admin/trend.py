"""The chart of open findings over time, above the list of findings: loaded by the page after it is shown, drawn without a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from integrations.models import Repository
from scans.choices import Severity
from scans.severities import WORST_FIRST
from scans.trend import TrendPoint, trend

DAYS = 90


@dataclass(frozen=True)
class Column:
    """A day: what stands in it from top to bottom as (severity, height in percent), the worst lowest."""

    title: str
    parts: list[tuple[str, float]]


def panel(repositories: QuerySet[Repository], days: int = DAYS) -> dict[str, Any]:
    """Return what the chart shows. Two statements."""
    points = trend(repositories, days)
    highest = max(point.total for point in points)
    first, now = points[0], points[-1]
    return {
        "columns": [_column(point, highest) for point in points] if len(points) > 1 else [],
        "highest": highest,
        "first": first.day,
        "total": now.total,
        "change": now.total - first.total,
        "change_words": f"{abs(now.total - first.total):,} {'more' if now.total > first.total else 'fewer'}",
        "legend": [(severity.value, now.by_severity[severity]) for severity in WORST_FIRST if _ever(points, severity)],
    }


def _column(point: TrendPoint, highest: int) -> Column:
    counts = [(severity, point.by_severity[severity]) for severity in WORST_FIRST if point.by_severity[severity]]
    named = ", ".join(f"{count:,} {severity.value}" for severity, count in counts) or "none"
    return Column(f"{point.day}: {named}", [(severity.value, round(100 * count / highest, 2)) for severity, count in reversed(counts)])


def _ever(points: list[TrendPoint], severity: Severity) -> bool:
    return any(point.by_severity[severity] for point in points)
