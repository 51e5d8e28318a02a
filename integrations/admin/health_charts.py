"""The charts of the health page, as points and bars for an SVG. Nothing is loaded for them, and they need no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from integrations.health.days import Day
from integrations.models import HealthSample

WIDTH, HEIGHT = 480.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 20.0, 10.0, 22.0


@dataclass(frozen=True)
class Dot:
    """A value of a day; `met` says whether it was within the target, None without one."""

    x: float
    y: float
    title: str
    met: bool | None = None


@dataclass(frozen=True)
class Chart:
    """What the SVG shows; every coordinate lies within WIDTH and HEIGHT."""

    lines: list[tuple[str, str, list[Dot]]] = field(default_factory=list)
    """(name, points of a polyline, its dots); a day without a value parts a line in two."""
    bars: list[tuple[Dot, float, float]] = field(default_factory=list)
    """(top of the bar, its width, its height)."""
    target_y: float | None = None
    target: str = ""
    low: str = ""
    high: str = ""
    labels: list[tuple[float, str]] = field(default_factory=list)

    @property
    def label_y(self) -> float:
        """Return where the target's name stands: above its line, or below it at the top of the chart."""
        y = self.target_y or 0.0
        return y - 5 if y > TOP + 16 else y + 14


def response_chart(days: Sequence[Day], target_ms: int | None) -> Chart | None:
    """Return the response times per day against their target; None where nothing was measured. `days` are newest first."""
    measured = [day.p95_ms for day in days if day.p95_ms is not None]
    if not measured:
        return None
    top = _round_up(max([*measured, target_ms or 0.0]) * 1.1)
    places = _places(days)
    lines: list[tuple[str, str, list[Dot]]] = []
    for name in ("p95", "p50"):
        dots: list[Dot] = []
        for day in sorted(days, key=lambda day: day.day):
            value: float | None = getattr(day, f"{name}_ms")
            if value is not None:
                met = day.fast_enough(target_ms) if name == "p95" else None
                dots.append(Dot(places[day.day], _y(value, 0, top), f"{day.day}: {name} {milliseconds(value)}", met))
        lines.append((name, " ".join(f"{dot.x:.1f},{dot.y:.1f}" for dot in dots), dots))
    return Chart(
        lines=lines,
        target_y=_y(target_ms, 0, top) if target_ms else None,
        target=f"target {milliseconds(target_ms)} (p95)" if target_ms else "",
        low="0",
        high=milliseconds(top),
        labels=_labels(days),
    )


def availability_chart(days: Sequence[Day], target: float | None) -> Chart | None:
    """Return the availability per day against its target, cut off below so that differences show; None without any check."""
    measured = [day.availability for day in days if day.availability is not None]
    if not measured:
        return None
    lowest = min([*measured, 100.0 if target is None else target])
    low = max(0.0, 100 - max(1.0, (100 - lowest) * 1.4))
    places, bars = _places(days), []
    step = (WIDTH - LEFT - RIGHT) / _span(days)
    width = min(40.0, step * 0.7)
    for day in days:
        if day.availability is not None:
            y = min(_y(day.availability, low, 100), HEIGHT - BOTTOM - 2)
            title = f"{day.day}: {day.availability:g} %, {day.failures} of {day.checks} checks failed"
            dot = Dot(places[day.day] - width / 2, y, title, day.available_enough(target))
            bars.append((dot, width, HEIGHT - BOTTOM - y))
    return Chart(
        bars=bars,
        target_y=None if target is None else _y(target, low, 100),
        target="" if target is None else f"target {target:g} %",
        low=f"{low:.4g} %",
        high="100 %",
        labels=_labels(days),
    )


def latest_bars(samples: Sequence[HealthSample]) -> list[tuple[str, float, str]]:
    """Return (success, failed or pending, height in percent, title) of single checks, oldest first; `samples` are newest first.

    Pending is the grey of what was not measured.
    """
    longest = max((sample.response_ms or 0.0 for sample in samples), default=0.0) or 1.0
    bars = []
    for sample in reversed(samples):
        said = milliseconds(sample.response_ms) if sample.ok else sample.error or "failed"
        kind = "pending" if sample.ok is None else "success" if sample.ok else "failed"
        said = f"not measured. {said}" if sample.ok is None else said
        height = max(6.0, 100 * (sample.response_ms or 0.0) / longest) if sample.ok else 100.0
        bars.append((kind, round(height, 1), f"{sample.checked_at:%Y-%m-%d %H:%M} UTC: {said}"))
    return bars


def milliseconds(value: float | None) -> str:
    """Return a length of time as people read it."""
    if value is None:
        return "–"
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def _span(days: Sequence[Day]) -> int:
    return max(7, (max(day.day for day in days) - min(day.day for day in days)).days + 1)


def _places(days: Sequence[Day]) -> dict[date, float]:
    """Return the middle of each day's column; the newest stands rightmost."""
    last, span = max(day.day for day in days), _span(days)
    step = (WIDTH - LEFT - RIGHT) / span
    return {day.day: round(WIDTH - RIGHT - ((last - day.day).days + 0.5) * step, 1) for day in days}


def _labels(days: Sequence[Day]) -> list[tuple[float, str]]:
    last, span = max(day.day for day in days), _span(days)
    step = (WIDTH - LEFT - RIGHT) / span
    backs = sorted({0, (span - 1) // 2, span - 1})
    return [(round(WIDTH - RIGHT - (back + 0.5) * step, 1), f"{last - timedelta(days=back):%d %b}") for back in backs]


def _y(value: float | None, low: float, high: float) -> float:
    share = ((value or 0.0) - low) / (high - low) if high > low else 1.0
    return round(HEIGHT - BOTTOM - min(1.0, max(0.0, share)) * (HEIGHT - TOP - BOTTOM), 1)


def _round_up(value: float) -> float:
    """Return the next 1, 2 or 5 with zeros."""
    size = 1.0
    while True:
        for factor in (1, 2, 5):
            if size * factor >= value:
                return size * factor
        size *= 10
