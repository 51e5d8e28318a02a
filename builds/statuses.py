"""The words in which CI systems say how a build stands, each in the one vocabulary (docs/builds.md lists them)."""

from __future__ import annotations

from builds.choices import BuildStatus

WORDS: dict[BuildStatus, tuple[str, ...]] = {
    BuildStatus.QUEUED: ("pending", "waiting", "requested", "created", "received", "scheduled", "preparing", "on_hold"),
    BuildStatus.RUNNING: ("in_progress", "started", "building"),
    BuildStatus.SUCCESS: ("passed", "succeeded", "successful", "fixed"),
    BuildStatus.FAILURE: ("failed", "errored", "error", "failing", "broken", "unstable", "startup_failure", "infrastructure_fail"),
    BuildStatus.TIMED_OUT: ("timedout", "timeout"),
    BuildStatus.CANCELLED: ("canceled", "aborted", "stale", "stopped"),
    BuildStatus.SKIPPED: ("neutral", "not_built", "not_run", "action_required", "manual", "no_tests"),
}
_STATUSES: dict[str, BuildStatus] = {word: status for status, words in WORDS.items() for word in (status.value, *words)}


def status_of(word: str) -> BuildStatus | None:
    """Return the status that a CI system's word means, whatever its case; None for a word that is not known."""
    return _STATUSES.get(word.strip().lower().replace(" ", "_").replace("-", "_"))
