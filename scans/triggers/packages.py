"""A lock file or SBOM that changed has its branch scanned by those who are asked about packages."""

from __future__ import annotations

from datetime import timedelta

from integrations import registry
from integrations.contract.scans import ScanSource
from integrations.models import Integration, Repository
from integrations.selectors.sources import working_sources
from scans.services.queueing import Wanted, queue_scans

FILES_SETTLE = timedelta(seconds=15)
"""A step of CI uploads one file after the other: one scan answers all of them."""


def on_packages(repository: Repository, ref: str, commit: str) -> None:
    """Queue the scans, in the caller's transaction. One of the same commit that was begun before does not know of the change."""
    of = working_sources().filter(repository=repository, scan_on_push=True).values("integration")
    rows = Integration.objects.filter(id__in=of).order_by("id").values_list("id", "type", "config")
    known = {one.key: one for one in registry.with_capability(ScanSource) if issubclass(one, ScanSource)}
    asked = [id for id, type, config in rows if type in known and known[type].needs_packages(config)]
    wanted = [Wanted(id, repository.id, ref, commit, full=True, settle=FILES_SETTLE) for id in asked]
    if wanted:
        queue_scans(wanted)
