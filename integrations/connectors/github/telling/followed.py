"""Follows a run of GitHub Actions to its end, and finds the one that a dispatch started where GitHub did not name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from core.http.door import BadAnswer, Reply
from integrations.connectors.github.client import Client, rows
from integrations.connectors.github.reading import moment, number, text
from integrations.contract.outbound import Progress

UNCLEAR = "unclear"
_SKEW = timedelta(seconds=30)
_RESULTS = {"success": "passed", "failure": "failed", "timed_out": "timed out", "startup_failure": "failed"}


@dataclass(frozen=True)
class Found:
    """A run."""

    id: int
    link: str


def poll(client: Client, url: str, memory: Mapping[str, Any]) -> Progress:
    """Ask once how the run stands, or, where it is not known yet, which one it is. Raises OutboundError."""
    if "event_id" in memory and "run_id" not in memory:
        return _looked_for(client, url, memory)
    run_id = number(memory, "run_id")
    if run_id:  # found by an earlier poll of the list
        url = f"{url.partition('/actions/')[0]}/actions/runs/{run_id}"
    run = client.follow(url, what="the run").json()
    if not isinstance(run, dict):
        raise BadAnswer("GitHub answered something else than a run. Check that the address is that of its API.")
    return _standing(run, memory)


def choose(page: Reply, event_id: str, since: str, is_anothers: Callable[[int], bool] = lambda run_id: False) -> Found | None:
    """Return the run that an event's dispatch started: the one that is named after the event's id, else the only one there is.

    Of several without the id none is taken: which one it is can't be told.
    """
    named, others = _candidates(page, event_id, since)
    others = [run for run in others if not is_anothers(number(run, "id") or 0)]
    chosen = named[:1] or (others if len(others) == 1 else [])
    return Found(number(chosen[0], "id") or 0, text(chosen[0], "html_url")) if chosen else None


def with_skew(since: str) -> str:
    """Return the time with room for another clock, as GitHub searches for it."""
    return (datetime.fromisoformat(since) - _SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")


def _looked_for(client: Client, url: str, memory: Mapping[str, Any]) -> Progress:
    page = client.follow(url, what="the runs of the workflow")
    event_id, since = text(memory, "event_id"), text(memory, "since")
    if found := choose(page, event_id, since):
        return Progress(label=f"run {found.id}", link=found.link, memory={**memory, "run_id": found.id})
    if _candidates(page, event_id, since)[1]:
        return Progress(result=UNCLEAR, label="several runs were started at that time")
    return Progress()


def _candidates(page: Reply, event_id: str, since: str) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the runs that are named after the event, and all that were started since."""
    begin = datetime.fromisoformat(since) - _SKEW
    started = [run for run in rows(page, "workflow_runs") if number(run, "id") and (at := moment(run, "created_at")) and at >= begin]
    return [run for run in started if event_id in text(run, "display_title") + text(run, "name")], started


def _standing(run: Mapping[str, Any], memory: Mapping[str, Any]) -> Progress:
    label = f"run #{number(run, 'run_number')}" if number(run, "run_number") else ""
    conclusion = text(run, "conclusion") if text(run, "status") == "completed" else ""
    result = _RESULTS.get(conclusion, conclusion.replace("_", " ")) or None
    return Progress(result=result, label=label, link=text(run, "html_url"), memory=memory)
