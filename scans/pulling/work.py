"""Pulls the pages of a scan source. A limit is not waited for, a kill loses no page: the scan goes on behind the last one stored."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.db import transaction
from django.utils import timezone

from core import work_registry
from core.errors import NotFound, Unavailable
from core.fields import DecryptError
from core.models.outbound import CallPurpose
from core.work import Later, Run
from integrations.calls import connector_for
from integrations.contract.reports import RepositoryRef
from integrations.contract.scans import ScanQuery, ScanSource
from scans.announcing import announce_started
from scans.categories import prefix_of
from scans.ingest.reading import Report, SectionRead, read_report
from scans.ingest.spool import Spool
from scans.inventories.selectors import packages_of
from scans.kinds import KIND_NAME
from scans.models import Scan, Stream
from scans.models.scan import GOING_ON
from scans.pulling.pages import end_pages, held, keep_page, kept_items
from scans.pulling.sync import since_of

_WAIT_SECONDS = 60.0
"""The scan before it wakes this one; the wait is for where that one's worker dies."""


def pull(run: Run) -> Later | None:
    """Read the source for a while; None when all its pages are here. Raises what the source raises, LeaseLost."""
    scan = cast("Scan", run.row)
    if scan.turn is not None:
        return None
    source = _source(scan)
    if not _begin(run, source):
        return Later(_WAIT_SECONDS, "Waits for the scan of this branch that is under way.")
    for page in source.scan_pages(_query(scan, source), scan.progress.get("cursor")):
        keep_page(run, page)
        if run.time_is_up():
            work_registry.wake(KIND_NAME)
            return Later()
    end_pages(run)
    return None


def read_pulled(run: Run) -> Report:
    """Read all pages of a scan that were stored. Raises InvalidInput where they say nothing, LeaseLost."""
    scan = cast("Scan", run.row)
    if scan.integration_id is None:
        raise _gone()
    prefix = prefix_of(scan.integration_id)
    if not scan.size:  # nothing changed since the last time, or the source has nothing about this ref, such as no analysis of a branch
        report = Report(Spool())
    else:
        report = read_report(kept_items(scan), scan.repository_id, prefix=prefix, seen=lambda number: run.save_progress(scan.progress))
    if scan.complete and not report.problem_count:
        _add_silent(report, scan, prefix)
    return report


def _add_silent(report: Report, scan: Scan, prefix: str) -> None:
    """Say that tools and categories that the source had before, and does not name in a whole reading any more, have nothing now."""
    named = {(section.tool, section.category) for section in report.sections}
    before = Stream.objects.filter(repository_id=scan.repository_id, ref=scan.ref, category__startswith=prefix)
    for tool, category in before.order_by("id").values_list("tool", "category"):
        if (tool, category) not in named:
            report.sections.append(SectionRead(tool, "", category))


def _begin(run: Run, source: ScanSource) -> bool:
    """Note that the scan begins, with what was asked for until now; False where another of the same branch is under way."""
    scan = cast("Scan", run.row)
    if scan.started_at is not None:
        return True
    with transaction.atomic():
        row = held(run)  # a later request may have changed the commit since it was claimed
        same = Scan.objects.filter(GOING_ON, integration=row.integration_id, repository_id=row.repository_id, ref=row.ref)
        if same.filter(started_at__isnull=False).exclude(pk=row.pk).exists():
            return False
        since = since_of(row) if source.incremental else None
        row.started_at, row.complete, row.error = timezone.now(), since is None, ""
        row.progress = row.progress | ({"since": since.isoformat()} if since else {})
        row.save(update_fields=["started_at", "complete", "progress", "error"])
        for name in ("commit", "full", "started_at", "complete", "progress", "error"):
            setattr(scan, name, getattr(row, name))
        announce_started(scan)
    return True


def _source(scan: Scan) -> ScanSource:
    try:
        integration = scan.integration
        if integration is None or integration.deleted_at is not None:
            raise _gone()
        connector = connector_for(integration, CallPurpose.SCAN)
    except DecryptError as error:
        raise Unavailable(str(error)) from None
    if not isinstance(connector, ScanSource):
        raise NotFound(f"No findings can be read from {integration.name}: its connector has none.")
    return connector


def _gone() -> NotFound:
    return NotFound("The integration of this scan was deleted.", code="integration_deleted")


def _query(scan: Scan, source: ScanSource) -> ScanQuery:
    repository, since = scan.repository, scan.progress.get("since")
    return ScanQuery(
        RepositoryRef(repository.provider, repository.full_name, repository.default_branch),
        ref=scan.ref,
        commit=scan.commit,
        since=datetime.fromisoformat(since) if since else None,
        packages=packages_of(repository, scan.ref) if source.needs_packages(source.config) else (),
    )
