"""Where what other systems report is handed on: the rooms that keep it register here at start.

`webhooks` receives and `builds` keeps, and neither may import the other. A taker runs in the caller's transaction and only
writes rows.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from integrations.contract.reports import ReportedRun


@dataclass(frozen=True)
class RunReport:
    """CI runs of one project, as one source reported them."""

    provider: str
    """The connector's key, such as github."""
    project: str
    """Full name (owner/name) at the provider."""
    runs: Sequence[ReportedRun]
    owner_id: uuid.UUID | None = None
    """Whose they are where the project is no known repository."""


class RunTaker(Protocol):
    """Keeps reported runs."""

    def __call__(self, report: RunReport) -> None:
        """Write the runs of a report, each once however often it is reported."""


_run_takers: list[RunTaker] = []


def register_run_taker(taker: RunTaker) -> None:
    """Have `taker` told of every reported run; call it in an app's ready()."""
    if taker not in _run_takers:
        _run_takers.append(taker)


def report_runs(report: RunReport) -> None:
    """Hand reported runs on, in the caller's transaction."""
    for taker in _run_takers:
        taker(report)
