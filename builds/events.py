"""Event types about builds."""

from __future__ import annotations

from typing import Any

from core.event_types import EventType, Family

_TEXT: dict[str, Any] = {"type": "string"}
_SECONDS: dict[str, Any] = {"type": ["number", "null"], "minimum": 0}
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "build_id": {"type": ["string", "integer"], "description": "The CI system's own id of the run."},
        "attempt": {"type": "integer", "minimum": 1},
        "project": _TEXT,
        "source": _TEXT,
        "repository": {"type": ["object", "string"]},
        "workflow": _TEXT,
        "branch": _TEXT,
        "commit": _TEXT,
        "status": {"enum": ["queued", "running", "success", "failure", "cancelled", "skipped", "timed_out"]},
        "url": _TEXT,
        "started_at": {"type": ["string", "null"]},
        "finished_at": {"type": ["string", "null"]},
        "duration_seconds": _SECONDS,
    },
    "required": ["build_id"],
}
_EXAMPLE: dict[str, Any] = {
    "build_id": "9183741982",
    "attempt": 1,
    "project": "acme/shop",
    "source": "github",
    "repository": {"full_name": "acme/shop"},
    "workflow": "test",
    "branch": "main",
    "commit": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
    "status": "success",
    "url": "https://github.com/acme/shop/actions/runs/9183741982",
    "started_at": "2026-11-20T09:30:10Z",
    "finished_at": "2026-11-20T09:34:40Z",
    "duration_seconds": 270,
}
_RUNNING = {"status": "running", "finished_at": None, "duration_seconds": None}


_build = Family("build", _SCHEMA, _EXAMPLE, strict=True, postable=True)


EVENT_TYPES = [
    _build("started", "Build started", "A CI run began.", **_RUNNING),
    _build("completed", "Build completed", "A CI run ended, whatever its result; `status` says which."),
    _build("failed", "Build failed", "A CI run ended without success.", status="failure"),
    _build("recovered", "Build recovered", "The first success of a branch and workflow after failures.", red_seconds=5400, failures=3),
    _build("flaky", "Flaky build", "The same commit and workflow both failed and passed.", attempt=2, outcomes=["failure", "success"]),
    EventType(
        name="analysis.completed",
        title="Build analysis completed",
        description="An analysis of builds is ready.",
        schema={
            "type": "object",
            "properties": {"analysis_id": _TEXT, "builds": {"type": "integer", "minimum": 0}, "success_rate": {"type": ["number", "null"]}},
            "required": ["analysis_id"],
        },
        example={"analysis_id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6", "repository": "acme/shop", "builds": 1200, "success_rate": 0.93},
        strict=True,
    ),
]
