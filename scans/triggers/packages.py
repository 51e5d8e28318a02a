"""A lock file or SBOM that changed has its branch scanned by those who are asked about packages."""

from __future__ import annotations

from datetime import timedelta

from integrations import registry
from integrations.contract.scans import ScanSource
from integrations.models import Repository
from integrations.selectors.sources import working_sources
from scans.services.queueing import Wanted, queue_scans

FILES_SETTLE = timedelta(seconds=15)
"""A step of CI uploads one file after the other: one scan answers all of them."""


def on_packages(repository: Repository, ref: str, commit: str) -> None:
    """Queue the scans, in the caller's transaction. One of the same commit that was begun before does not know of the change."""
    types = [connector.key for connector in registry.with_capability(ScanSource) if getattr(connector, "needs_packages", False)]
    sources = working_sources().filter(repository=repository, integration__type__in=types, scan_on_push=True)
    wanted = [Wanted(one.integration_id, repository.id, ref, commit, full=True, settle=FILES_SETTLE) for one in sources]
    if wanted:
        queue_scans(wanted)
