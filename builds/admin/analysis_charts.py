"""The charts of an analysis, as points and bars for an SVG. Nothing is loaded for them, and they need no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from integrations.admin.health_charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Dot

NOTABLE = 0.1
"""A period whose success rate is so much below the window's is drawn red."""
CELL, HEAT_LEFT, HEAT_TOP = 18.0, 34.0, 16.0
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
_UNITS = ((172_800, 86_400, "d"), (7200, 3600, "h"), (90, 60, "min"))


@dataclass(frozen=True)
class Cell:
    """An hour of a weekday; `opacity` of its red grows with the failure rate, None where nothing was completed."""

    x: float
    y: float
    opacity: float | None
    title: str


@dataclass(frozen=True)
class HeatMap:
    """What the SVG shows."""

    width: float
    height: float
    cells: list[Cell]
    days: list[tuple[float, str]]
    hours: list[tuple[float, str]]


def words(seconds: float | None) -> str:
    """Return a length of time as people read it: 40 s, 12 min, 3.5 h, 2.1 d."""
    if seconds is None:
        return "–"
    size, name = next(((size, name) for least, size, name in _UNITS if seconds >= least), (1, "s"))
    return f"{round(seconds / size, 1):g} {name}"


def percent(rate: float | None) -> str:
    """Return a rate as people read it."""
    return "–" if rate is None else f"{round(rate * 100, 1):g} %"


def success_chart(trend: dict[str, Any], overall: float | None) -> Chart | None:
    """Return the success rate of each period against the whole window's; None where nothing was completed."""
    points = trend["points"]
    if overall is None:
        return None
    step = (WIDTH - LEFT - RIGHT) / len(points)
    width = min(40.0, step * 0.7)
    bars = []
    for place, point in enumerate(points):
        rate = point["success_rate"]
        if rate is not None:
            y = min(_y(rate, 1.0), HEIGHT - BOTTOM - 2)
            title = f"{_period(trend, point)}: {percent(rate)}, {point['failed']} of {point['completed']} failed"
            dot = Dot(round(LEFT + (place + 0.5) * step - width / 2, 1), y, title, rate > overall - NOTABLE)
            bars.append((dot, width, HEIGHT - BOTTOM - y))
    return Chart(bars=bars, target_y=_y(overall, 1.0), low="0 %", high="100 %", labels=_labels(points))


def duration_chart(trend: dict[str, Any]) -> Chart | None:
    """Return p95 and p50 of the durations of each period; None where none is known. A period without one is passed over."""
    points = trend["points"]
    longest = max((point["duration_seconds"]["p95"] or 0.0 for point in points), default=0.0)
    if not any(point["duration_seconds"]["count"] for point in points):
        return None
    top, step = _round_time(longest * 1.05 or 1.0), (WIDTH - LEFT - RIGHT) / len(points)
    lines: list[tuple[str, str, list[Dot]]] = []
    for name in ("p95", "p50"):
        dots = []
        for place, point in enumerate(points):
            value = point["duration_seconds"][name]
            if value is not None:
                x = round(LEFT + (place + 0.5) * step, 1)
                dots.append(Dot(x, _y(value, top), f"{_period(trend, point)}: {name} {words(value)}"))
        lines.append((name, " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in dots), dots))
    return Chart(lines=lines, low="0", high=words(top), labels=_labels(points))


def heat_map(cells: Sequence[Sequence[dict[str, Any]]]) -> HeatMap | None:
    """Return failure rates by weekday and hour; None where nothing was completed."""
    if not any(cell["completed"] for day in cells for cell in day):
        return None
    worst = max(cell["failure_rate"] or 0.0 for day in cells for cell in day) or 1.0
    found = []
    for day, hours in enumerate(cells):
        for hour, cell in enumerate(hours):
            rate = cell["failure_rate"]
            said = f"{percent(rate)} failed, {cell['failed']} of {cell['completed']}" if cell["completed"] else "no completed build"
            opacity = None if rate is None else round(rate / worst, 2)
            found.append(Cell(HEAT_LEFT + hour * CELL, HEAT_TOP + day * CELL, opacity, f"{_DAY_NAMES[day]} {hour:02}:00 UTC: {said}"))
    days = [(HEAT_TOP + (number + 0.7) * CELL, name) for number, name in enumerate(_DAY_NAMES)]
    return HeatMap(
        width=HEAT_LEFT + 24 * CELL + 2,
        height=HEAT_TOP + 7 * CELL + 2,
        cells=found,
        days=days,
        hours=[(HEAT_LEFT + (hour + 0.5) * CELL, f"{hour}") for hour in range(0, 24, 3)],
    )


def _period(trend: dict[str, Any], point: dict[str, Any]) -> str:
    return str(point["start"]) if trend["unit"] == "day" else f"week from {point['start']}"


def _labels(points: Sequence[dict[str, Any]]) -> list[tuple[float, str]]:
    step = (WIDTH - LEFT - RIGHT) / len(points)
    years = points[0]["start"][:4] != points[-1]["start"][:4]
    shown = {0, (len(points) - 1) // 2, len(points) - 1}
    day = "%b %Y" if years else "%d %b"
    return [(round(LEFT + (place + 0.5) * step, 1), f"{date.fromisoformat(points[place]['start']):{day}}") for place in sorted(shown)]


def _y(value: float, high: float) -> float:
    return round(HEIGHT - BOTTOM - min(1.0, max(0.0, value / high)) * (HEIGHT - TOP - BOTTOM), 1)


def _round_time(seconds: float) -> float:
    """Return the next round number of the unit in which people read this length."""
    size = next((size for least, size, _name in _UNITS if seconds >= least), 1)
    return next(step * 10.0**power for power in range(12) for step in _STEPS if step * 10.0**power >= seconds / size) * size
