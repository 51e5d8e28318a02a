"""What the columns of TravisTorrent mean, in both generations of their names. Pure.

A row is a job, and repeats what is known of its build. What is a job's own is left out, but for the numbers of tests: of a
build's jobs the largest counts. https://travistorrent.testroots.org
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from builds.rows import BuildRow
from builds.statuses import status_of
from core.texts import storable

SOURCE = "travistorrent"
ALIASES: dict[str, tuple[str, ...]] = {
    "build_id": ("tr_build_id", "build_id"),
    "project": ("gh_project_name", "project"),
    "status": ("tr_status", "status"),
    "number": ("tr_build_number", "tr_number"),
    "branch": ("git_branch", "branch"),
    "commit": ("git_trigger_commit", "git_commit", "tr_original_commit", "commit"),
    "is_pull_request": ("gh_is_pr", "tr_is_pr"),
    "language": ("gh_lang", "language"),
    "started_at": ("gh_build_started_at", "tr_started_at", "started_at"),
    "duration_seconds": ("tr_duration", "duration_seconds"),
    "tests_run": ("tr_log_num_tests_run", "tr_tests_run"),
    "tests_failed": ("tr_log_num_tests_failed", "tr_tests_fail", "tr_tests_failed"),
    "jobs": ("tr_jobs",),
}
"""Our field -> its columns, the newest name first; the first that has a value counts."""
REQUIRED = ("project", "build_id", "status")
_OF_JOBS = ("tr_job_id", "tr_log_", "tr_tests_", "tr_frameworks", "tr_analyzer", "tr_setup_time", "tr_purebuildduration", "tr_testduration")
_LISTS = ("git_all_built_commits", "gh_commits_in_push", "git_commits")
_MOST_IN_LIST = 100
_EMPTY = {"", "na", "nan", "null", "none", "\\n"}
_YES, _NO = {"true", "t", "1", "yes"}, {"false", "f", "0", "no"}


class BadRow(Exception):
    """A row that can't be read: the column, and why."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(f"{column}: {reason}")
        self.column, self.reason = column, reason


@dataclass(frozen=True)
class Header:
    """The columns of a file, in their order."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, cells: Sequence[str]) -> Header:
        """Read a header line."""
        return cls(tuple(cell.strip().strip("\ufeff").strip().lower() for cell in cells))

    def missing(self) -> list[str]:
        """Return the columns without which no row can be stored."""
        return [ALIASES[name][0] for name in REQUIRED if not any(alias in self.names for alias in ALIASES[name])]

    def column(self, name: str) -> str:
        """Return the name by which the file knows one of our fields."""
        return next((alias for alias in ALIASES.get(name, ()) if alias in self.names), name)


def build_row(header: Header, cells: Sequence[str]) -> BuildRow:
    """Return the build that a line tells of; raises BadRow."""
    if len(cells) != len(header.names):
        raise BadRow("", f"has {len(cells)} values; the header names {len(header.names)} columns.")
    given = {name: storable(cell.strip()) for name, cell in zip(header.names, cells, strict=True) if cell.strip().lower() not in _EMPTY}
    values = {name: next(((alias, given[alias]) for alias in aliases if alias in given), None) for name, aliases in ALIASES.items()}
    for name in REQUIRED:
        if values[name] is None:
            raise BadRow(ALIASES[name][0], "is empty.")
    found = {name: pair for name, pair in values.items() if pair is not None}
    said = found["status"][1].lower()
    status = status_of(said)
    pull_request = _truth(*found["is_pull_request"]) if "is_pull_request" in found else None
    texts: dict[str, Any] = {
        name: found[name][1] for name in ("project", "build_id", "number", "branch", "commit", "language") if name in found
    }
    return BuildRow(
        source=SOURCE, status=status.value if status else said, conclusion=said if status and said != status.value else "",
        is_pull_request=pull_request, event="" if pull_request is None else "pull_request" if pull_request else "push",
        started_at=_moment(*found["started_at"]) if "started_at" in found else None,
        duration_seconds=_number(*found["duration_seconds"]) if "duration_seconds" in found else None,
        tests_run=_count(found, "tests_run"), tests_failed=_count(found, "tests_failed"), of_job=True,
        jobs=len(_entries(found["jobs"][1])) if "jobs" in found else None, extra=_extra(given), **texts,
    )  # fmt: skip


def _extra(given: Mapping[str, str]) -> dict[str, Any]:
    """Return what else is said of the build, lists as lists."""
    used = {alias for aliases in ALIASES.values() for alias in aliases}
    return {
        name: _entries(text)[:_MOST_IN_LIST] if name in _LISTS else text
        for name, text in given.items()
        if name and name not in used and not name.startswith(_OF_JOBS)
    }


def _entries(text: str) -> list[str]:
    return [entry for entry in text.strip("[]").split("#") if entry.strip()]


def _truth(column: str, text: str) -> bool:
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    raise BadRow(column, f"{text[:40]!r} is neither TRUE nor FALSE.")


def _number(column: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRow(column, f"{text[:40]!r} is not a number.") from None


def _count(found: Mapping[str, tuple[str, str]], name: str) -> int | None:
    if name not in found:
        return None
    column, text = found[name]
    number = _number(column, text)
    if number != number or abs(number) == float("inf") or not number.is_integer():
        raise BadRow(column, f"{text[:40]!r} is not a whole number.")
    return int(number)


def _moment(column: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadRow(column, f"{text[:40]!r} is not a time like 2014-03-01 12:30:00 (UTC).") from None
