"""What a report makes of a build: pure, and the same in whatever order reports arrive.

A build only moves forward: queued, running, ended. A report that is behind what is known fills what was empty, and changes
nothing else; of two reports about the end, the one that ended later holds.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from builds.choices import FINAL, BuildStatus
from builds.models import Build
from builds.rows import BuildRow

_FILLED = (
    "number", "workflow", "branch", "commit", "event", "started_at", "tests_run", "tests_failed", "jobs", "language", "actor", "url",
)  # fmt: skip
_OF_JOBS = ("tests_run", "tests_failed")
_OF_ITS_END = ("status", "conclusion", "finished_at", "duration_seconds")
MERGED = (*_FILLED, *_OF_ITS_END, "is_pull_request", "extra")


def new_build(row: BuildRow) -> Build:
    """Return the build that a first report makes; not saved."""
    return merge(Build(project=row.project, source=row.source, build_id=row.build_id, attempt=row.attempt, status=""), row)


def merge(build: Build, row: BuildRow) -> Build:
    """Change `build` to what is known after the report; nothing is saved."""
    behind = _is_behind(build, row)
    for name in _FILLED:
        said, known = getattr(row, name), getattr(build, name)
        if row.of_job and name in _OF_JOBS and said is not None and known is not None:
            setattr(build, name, max(said, known))
        elif said not in (None, "") and (known in (None, "") or not behind):
            setattr(build, name, said)
    if row.is_pull_request is not None and not behind:
        build.is_pull_request = row.is_pull_request
    build.extra = {**row.extra, **build.extra} if behind else {**build.extra, **row.extra}
    if not behind:
        _take_end(build, row)
    _derive(build)
    return build


def _take_end(build: Build, row: BuildRow) -> None:
    moved = row.status != build.status
    for name in _OF_ITS_END:
        said = getattr(row, name)
        # another status makes what was said about the former one untrue
        if moved or said not in (None, ""):
            setattr(build, name, said)


def _is_behind(build: Build, row: BuildRow) -> bool:
    known, said = _step(build.status), _step(row.status)
    if known != said or known < _step(BuildStatus.SUCCESS):
        return said < known
    return bool(build.finished_at and row.finished_at and row.finished_at < build.finished_at)


def _step(status: str) -> int:
    return 3 if status in FINAL else {BuildStatus.RUNNING.value: 2, BuildStatus.QUEUED.value: 1}.get(status, 0)


def _derive(build: Build) -> None:
    """Work out the end or the duration where the other and the start are known."""
    if build.status not in FINAL or build.started_at is None:
        return
    if build.duration_seconds is None and build.finished_at is not None:
        build.duration_seconds = max(0.0, (build.finished_at - build.started_at).total_seconds())
    elif build.finished_at is None and build.duration_seconds is not None:
        build.finished_at = _after(build, build.duration_seconds)


def _after(build: Build, seconds: float) -> Any:
    try:
        return build.started_at + timedelta(seconds=seconds)  # type: ignore[operator]
    except OverflowError:
        return None
