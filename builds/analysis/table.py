"""The result of an analysis as a table: one row for each measure of each thing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from core import csv_cells

HEADER = ("section", "project", "workflow", "branch", "period", "measure", "value")
_NAMES = ("project", "workflow", "branch")
_PERIODS = ("start", "weekday", "hour")
Cells = tuple[Any, ...]


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of the CSV, the header first."""
    return csv_cells.lines((HEADER, *rows(result)))


def rows(result: dict[str, Any]) -> Iterator[Cells]:
    """Yield every measure with what it is of."""
    window = result["window"]
    period = f"{window['since']} {window['until']}"
    yield from _flat("summary", {"period": period}, {name: result[name] for name in ("builds", "completed", "success_rate", "counts")})
    yield from _flat("duration_seconds", {"period": period}, result["duration_seconds"])
    for name in ("default_branch", "all_branches"):
        yield from _flat(f"mttr_{name}", {"period": period}, result["mttr"][name])
    yield from _entries("mttr", result["mttr"]["groups"])
    yield from _flat("flaky", {"period": period}, {name: value for name, value in result["flaky"].items() if name != "workflows"})
    yield from _entries("flaky", result["flaky"]["workflows"])
    rates = result["failure_rate"]
    for name in ("by_branch", "by_workflow", "by_weekday", "by_hour"):
        yield from _entries(f"failure_rate_{name}", rates[name])
    for day, cells in zip(rates["by_weekday"], rates["heat_map"], strict=True):
        for hour, cell in enumerate(cells):
            yield from _flat("heat_map", {"period": f"{day['weekday']} {hour:02}:00"}, cell)
    yield from _entries(f"trend_by_{result['trend']['unit']}", result["trend"]["points"])
    yield from _entries("slowest_workflows", result["slowest_workflows"])
    for name, measure in result["dora"].items():
        yield from _flat(f"dora_{name}", {"period": period}, measure)
    for row in result.get("compare", {}).get("measures", []):
        yield from _flat("compare", {"period": period}, {f"{row['measure']}.{name}": row[name] for name in ("value", "compared", "change")})


def _entries(section: str, entries: Iterable[dict[str, Any]]) -> Iterator[Cells]:
    for entry in entries:
        names = {name: entry[name] for name in _NAMES if name in entry}
        period = next((entry[name] for name in _PERIODS if name in entry), "")
        measures = {name: value for name, value in entry.items() if name not in (*_NAMES, *_PERIODS)}
        yield from _flat(section, {**names, "period": period}, measures)


def _flat(section: str, of: dict[str, Any], measures: dict[str, Any], prefix: str = "") -> Iterator[Cells]:
    for name, value in measures.items():
        if isinstance(value, dict):
            yield from _flat(section, of, value, f"{prefix}{name}.")
        else:
            yield (section, *(of.get(column, "") for column in (*_NAMES, "period")), f"{prefix}{name}", value)
