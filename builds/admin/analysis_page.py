"""What the page of an analysis shows of its result: texts and charts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from builds.admin.analysis_charts import duration_chart, heat_map, percent, success_chart, words
from builds.choices import BuildStatus

MOST_SHOWN = 10
_TITLES = {
    "builds": ("Builds", "", 0),
    "success_rate": ("Success rate", "rate", 1),
    "p50_seconds": ("Duration, half are faster (p50)", "time", -1),
    "p90_seconds": ("Duration, 9 of 10 are faster (p90)", "time", -1),
    "p95_seconds": ("Duration, 19 of 20 are faster (p95)", "time", -1),
    "mttr_seconds": ("Mean time to recovery, default branches", "time", -1),
    "ongoing_red_streaks": ("Default branches red at the end", "", -1),
    "flake_rate": ("Flake rate", "rate", -1),
    "deployments": ("Deployments", "", 0),
    "change_failure_proxy": ("Pushes with a failed build (proxy)", "rate", -1),
}
"""Of each compared measure: its name, how it is written, and whether more is better (1), worse (-1) or neither."""


def page_of(result: dict[str, Any]) -> dict[str, Any]:
    """Return the context of a finished analysis."""
    mttr, rates = result["mttr"], result["failure_rate"]
    return {
        "result": result,
        "empty": not result["builds"],
        "success": percent(result["success_rate"]),
        "durations": {name: words(result["duration_seconds"][name]) for name in ("p50", "p90", "p95")},
        "mttr": words(mttr["default_branch"]["mean_seconds"]),
        "flake_rate": percent(result["flaky"]["flake_rate"]),
        "counts": [(str(status.label), result["counts"][status]) for status in BuildStatus if result["counts"][status]],
        "unit": result["trend"]["unit"],
        "success_chart": success_chart(result["trend"], result["success_rate"]),
        "duration_chart": duration_chart(result["trend"]),
        "heat_map": heat_map(rates["heat_map"]),
        "worst_hour": _worst_hour(rates),
        "slowest": [{**row, **{name: words(row[name]) for name in ("p50", "p90", "p95")}} for row in result["slowest_workflows"]],
        "flakiest": [{**row, "rate": percent(row["flake_rate"])} for row in result["flaky"]["workflows"]],
        "branches": [{**row, "rate": percent(row["failure_rate"])} for row in rates["by_branch"] if row["failed"]][:MOST_SHOWN],
        "workflows": [{**row, "rate": percent(row["failure_rate"])} for row in rates["by_workflow"] if row["failed"]][:MOST_SHOWN],
        "streaks": [_streak(row) for row in mttr["groups"][:MOST_SHOWN]],
        "dora": _dora(result["dora"]),
        "compare": _compare(result.get("compare")),
    }


def _worst_hour(rates: dict[str, Any]) -> str:
    """Return in words when builds fail most; empty where none failed."""
    cells = [
        (day["weekday"], hour, cell)
        for day, row in zip(rates["by_weekday"], rates["heat_map"], strict=True)
        for hour, cell in enumerate(row)
    ]
    day, hour, worst = max(cells, key=lambda item: item[2]["failed"])
    if not worst["failed"]:
        return ""
    return f"Most failures: {day} {hour:02}:00 to {hour:02}:59, {worst['failed']} of {worst['completed']}."


def _streak(row: dict[str, Any]) -> dict[str, Any]:
    longest = row["longest_streak"]
    return {
        **row,
        "mean": words(row["mean_seconds"]),
        "longest": f"{longest['failures']} failed {'build' if longest['failures'] == 1 else 'builds'}",
        "longest_time": "ongoing" if longest["ongoing"] else words(longest["seconds"]),
        "red_since": datetime.fromisoformat(row["ongoing"]["since"]) if row["ongoing"] else None,
    }


def _dora(found: dict[str, Any]) -> list[dict[str, str]]:
    often, lead, proxy, restore = (
        found[name] for name in ("deployment_frequency", "lead_time_seconds", "change_failure_proxy", "time_to_restore")
    )
    per_week = "–" if often["per_week"] is None else f"{round(often['per_week'], 1):g} a week"
    return [
        {"name": "Deployment frequency", "value": per_week, "said": often["reason"] or often["definition"]},
        {"name": "Change failures (proxy)", "value": percent(proxy["rate"]), "said": proxy["definition"]},
        {"name": "Lead time", "value": "–", "said": lead["reason"]},
        {"name": "Time to restore", "value": "–", "said": restore["reason"]},
    ]


def _compare(found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    window = {name: datetime.fromisoformat(found["window"][name]) for name in ("since", "until")}
    return {**window, "rows": [_compared(row) for row in found["measures"]]}


def _compared(row: dict[str, Any]) -> dict[str, Any]:
    title, kind, better = _TITLES[row["measure"]]
    change = row["change"]
    tone = "" if not change or not better else "good" if (change > 0) == (better > 0) else "bad"
    return {
        "title": title,
        "value": _written(row["value"], kind),
        "compared": _written(row["compared"], kind),
        "change": "–" if change is None else "no change" if not change else _change(change, kind),
        "tone": tone,
    }


def _written(value: float | None, kind: str) -> str:
    return percent(value) if kind == "rate" else words(value) if kind == "time" else "–" if value is None else f"{value:,}"


def _change(change: float, kind: str) -> str:
    sign, size = ("+" if change > 0 else "−"), abs(change)
    return sign + (f"{round(size * 100, 1):g} points" if kind == "rate" else words(size) if kind == "time" else f"{size:,}")
