"""How measures move over a window: per day, or per week where the window is long; and by weekday and hour."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from builds.analysis.measures import Tally, percentiles, rate
from builds.analysis.scope import Row

LONGEST_BY_DAY = timedelta(days=62)
"""Windows of at most this length have a point for each day, longer ones for each week."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass
class _Point:
    start: date
    tally: Tally = field(default_factory=Tally)
    durations: array[float] = field(default_factory=lambda: array("d"))

    def shown(self) -> dict[str, Any]:
        tally = self.tally
        return {
            "start": self.start.isoformat(),
            "builds": tally.by_status.total(),
            "completed": tally.completed,
            "failed": tally.failed,
            "success_rate": rate(tally.completed - tally.failed, tally.completed),
            "duration_seconds": percentiles(self.durations),
        }


class Trend:
    """Points from the first to the last day or week (from Monday) that the window touches, in UTC; also those without a build."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self.unit, self._step = ("day", 1) if until - since <= LONGEST_BY_DAY else ("week", 7)
        first, last = since.toordinal(), (until - timedelta(microseconds=1)).toordinal()
        self._first = first if self.unit == "day" else first - date.fromordinal(first).weekday()
        self.points = [_Point(date.fromordinal(day)) for day in range(self._first, last + 1, self._step)]

    def add(self, row: Row, start: datetime, duration: float | None) -> None:
        """Take a build that started at `start`; `duration` only if it counts."""
        point = self.points[(start.toordinal() - self._first) // self._step]
        point.tally.by_status[row.status] += 1
        if duration is not None:
            point.durations.append(duration)

    def shown(self) -> dict[str, Any]:
        """Return the points."""
        return {"unit": self.unit, "points": [point.shown() for point in self.points]}


class Week:
    """Completed and failed builds by weekday and hour of their start, in UTC."""

    def __init__(self) -> None:
        self._cells = [[Tally() for _hour in range(24)] for _day in WEEKDAYS]

    def add(self, row: Row, start: datetime) -> None:
        """Take a build that started at `start`."""
        self._cells[start.weekday()][start.hour].by_status[row.status] += 1

    def shown(self) -> dict[str, Any]:
        """Return the rates by weekday, by hour, and the heat map of both."""
        columns = list(zip(*self._cells, strict=True))
        return {
            "by_weekday": [{"weekday": name, **_sum(cells)} for name, cells in zip(WEEKDAYS, self._cells, strict=True)],
            "by_hour": [{"hour": hour, **_sum(cells)} for hour, cells in enumerate(columns)],
            "heat_map": [[cell.rates() for cell in cells] for cells in self._cells],
        }


def _sum(cells: Any) -> dict[str, Any]:
    tally = Tally()
    for cell in cells:
        tally.by_status.update(cell.by_status)
    return tally.rates()
