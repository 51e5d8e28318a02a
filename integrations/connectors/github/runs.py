"""A run of GitHub Actions, as its API and its webhook `workflow_run` show it, in the words that all connectors report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from integrations.connectors.github.reading import moment, number, part, text
from integrations.contract.reports import ReportedRun

_KEPT = (
    "id",
    "status",
    "conclusion",
    "path",
    "display_title",
    "workflow_id",
    "check_suite_id",
    "created_at",
    "run_started_at",
    "updated_at",
)


def reported(run: Mapping[str, Any], workflow: Mapping[str, Any] | None = None) -> ReportedRun | None:
    """Return one attempt of a run, None for what has no id; `workflow` is the webhook's, which also names it.

    GitHub says when an attempt began, not when it ended: its last change stands for that. A change that comes later, such as a
    deployment's approval, makes it seem longer.
    """
    build_id = number(run, "id")
    if build_id is None:
        return None
    status, conclusion = text(run, "status"), text(run, "conclusion")
    started = moment(run, "run_started_at") or moment(run, "created_at")
    updated = moment(run, "updated_at") if status == "completed" else None
    finished = max(updated, started) if updated and started else updated
    seconds = (finished - started).total_seconds() if finished and started else None
    return ReportedRun(
        build_id=str(build_id),
        attempt=number(run, "run_attempt") or 1,
        # the conclusion is empty until the run has ended
        status=conclusion or status or "queued",
        workflow=text(run, "name") or text(workflow or {}, "name") or _file_name(text(run, "path")),
        branch=text(run, "head_branch"),
        commit=text(run, "head_sha"),
        event=text(run, "event"),
        number=str(number(run, "run_number") or ""),
        started_at=started,
        finished_at=finished,
        duration_seconds=seconds,
        url=text(run, "html_url"),
        actor=text(part(run, "triggering_actor"), "login") or text(part(run, "actor"), "login"),
        raw={name: run.get(name) for name in _KEPT},
    )


def _file_name(path: str) -> str:
    return path.rpartition("/")[2].partition("@")[0]
