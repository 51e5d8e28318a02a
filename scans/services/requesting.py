"""Scans that people and programs ask for, and take back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import context
from core.errors import Conflict, InvalidInput
from core.models.work import WorkState
from integrations import registry
from integrations.calls import require_active
from integrations.contract.scans import ScanSource
from integrations.models import Integration, Repository, RepositorySource
from scans import uploads
from scans.announcing import announce_failed
from scans.choices import ENDED, ScanOutcome, ScanStatus, ScanTrigger
from scans.models import Scan
from scans.refs import checked_commit, checked_ref
from scans.selectors import shown_scans
from scans.services.queueing import Queued, Reused, Wanted, queue_scans


@dataclass(frozen=True)
class Request:
    """What is asked for; an empty ref is the default branch."""

    repository: Repository
    integration: Integration
    ref: str = ""
    commit: str = ""
    full: bool = False
    trigger: ScanTrigger = ScanTrigger.API


def request_scan(request: Request) -> Queued:
    """Queue a scan, or return the one that answers already. Raises InvalidInput, and Conflict for what is switched off."""
    repository, integration = request.repository, request.integration
    if not issubclass(registry.find(integration.type), ScanSource):
        raise InvalidInput.of("integration", f"no findings can be read from {integration.name}.", code="no_findings")
    require_active(integration)
    if not repository.active:
        raise Conflict(f"The repository {repository.full_name} is inactive; activate it first.", code="inactive")
    ref, commit = checked_ref(request.ref) or repository.default_branch, checked_commit(request.commit)
    wanted = Wanted(integration.id, repository.id, ref, commit, request.trigger, request.full)
    with transaction.atomic():
        queued = queue_scans([wanted])[wanted.key]
        if queued.reused == Reused.NO:
            audit.record(AuditVerb.CREATED, queued.scan, owner_id=repository.owner_id)
    return queued


def scan_now(sources: Iterable[RepositorySource]) -> int:
    """Queue a scan of the default branch by each of these sources; returns how many are queued then."""
    wanted = [Wanted(one.integration_id, one.repository_id, one.repository.default_branch, trigger=ScanTrigger.MANUAL) for one in sources]
    with transaction.atomic():
        found = queue_scans(wanted) if wanted else {}
        for queued in found.values():
            if queued.reused == Reused.NO:
                audit.record(AuditVerb.CREATED, queued.scan, owner_id=queued.scan.repository.owner_id)
    return len(found)


def cancel_scan(scan: Scan) -> Scan:
    """End a scan that waits, for its turn or for another try. Raises Conflict for one that runs or has ended."""
    with transaction.atomic():
        row = shown_scans().select_for_update(of=("self",)).get(pk=scan.pk)
        if row.status in ENDED:
            raise Conflict(f"This scan is {ScanStatus(row.status).label}: it can't be cancelled.", code=f"scan_{row.status}")
        if row.state != WorkState.QUEUED:
            raise Conflict("This scan is being worked on at this moment; cancel it while it waits.", code="scan_running")
        sentence = f"Cancelled by {context.actor().label}."[:200]
        Scan.objects.filter(pk=row.pk).update(
            outcome=ScanOutcome.FAILED, state=WorkState.DONE, finished_at=timezone.now(), error=sentence, problem_count=1,
            problems=[{"where": "scan", "sentence": sentence}],
        )  # fmt: skip
        uploads.discard(row)
        announce_failed(row, sentence)
        audit.record(AuditVerb.ACTED, row, action="cancel", owner_id=row.repository.owner_id)
    return shown_scans().get(pk=scan.pk)
