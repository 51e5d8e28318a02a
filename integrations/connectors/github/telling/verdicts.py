"""What an event says about a commit: being scanned, good, bad, or not known because the scan failed."""

from __future__ import annotations

from enum import StrEnum

from integrations.connectors.github.telling.told import Telling, unsuited


class Verdict(StrEnum):
    """How a commit stands."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The scan failed, so nothing is known of the commit."""
    LEFT = "left"
    """The gate's own event says it, which comes with this one."""


def verdict_of(telling: Telling, what: str) -> Verdict:
    """Return what an event says; `what` names in refusals what can't be made of it. Raises InvalidInput for an event about no commit.

    A completed scan without a gate passes: no policy of the repository says otherwise.
    """
    type, data = telling.event.type, telling.event.data
    if type == "scan.started":
        return Verdict.RUNNING
    if type == "scan.failed":
        return Verdict.ERROR
    if type == "scan.completed":
        return Verdict.LEFT if data.get("gate") else Verdict.PASSED
    if type in ("gate.passed", "gate.failed", "gate.changed"):
        return Verdict.PASSED if data.get("result") == "passed" else Verdict.FAILED
    raise unsuited(telling, what)


def order_of(telling: Telling, verdict: Verdict) -> str:
    """Return by which text verdicts are ordered as they came about; of two of one moment the one that is final is the later."""
    return f"{telling.order}/{0 if verdict is Verdict.RUNNING else 1}"
