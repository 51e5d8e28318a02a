"""What an event says about a commit: being scanned, good, bad, or not known because the scan failed."""

from __future__ import annotations

from enum import StrEnum

from integrations.connectors.github.telling.told import Telling, unsuited
from integrations.contract.outbound import NothingToTell


class Verdict(StrEnum):
    """How a commit stands."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The scan failed, at least in part, so not all is known of the commit."""


def verdict_of(telling: Telling, what: str) -> Verdict:
    """Return what an event says; `what` names in sentences what is told by it. Raises NothingToTell for one that says nothing.

    A completed scan without a gate passes: no policy of the repository says otherwise. One that is complete in part does not.
    """
    type, data = telling.event.type, telling.event.data
    if type == "scan.started":
        return Verdict.RUNNING
    if type == "scan.failed":
        return Verdict.ERROR
    if type == "scan.completed":
        if data.get("gate"):
            raise NothingToTell(f"{what} is set by the gate's own event, which comes with this one.")
        return Verdict.PASSED if data.get("status") == "completed" else Verdict.ERROR
    if type in ("gate.passed", "gate.failed", "gate.changed"):
        return Verdict.PASSED if data.get("result") == "passed" else Verdict.FAILED
    raise unsuited(telling, what)


def order_of(telling: Telling, verdict: Verdict) -> str:
    """Return by which text verdicts are ordered as they came about; of two of one moment the one that is final is the later."""
    return f"{telling.order}/{0 if verdict is Verdict.RUNNING else 1}"
