"""Takes the runs that other rooms report: what a provider's webhook told (integrations.reported)."""

from __future__ import annotations

import logging

from builds.rows import of_run
from builds.services.upsert import scope_of, store_builds
from integrations.reported import RunReport

logger = logging.getLogger(__name__)
_LOGGED = 5


def take_runs(report: RunReport) -> None:
    """Store reported runs; what can't be stored is logged, for the sender can't be asked to mend it."""
    rows = [of_run(run, report.provider, report.project) for run in report.runs]
    rejected = store_builds(rows, scope_of(report.owner_id)).rejected
    if rejected:
        reasons = [f"{one.field}: {one.reason}" for one in rejected[:_LOGGED]]
        logger.warning("reported_runs_rejected", extra={"provider": report.provider, "count": len(rejected), "reasons": reasons})
