"""Whether a scan reads everything or what changed, and up to when that is known afterwards."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from integrations.models import Integration
from scans.ingest.reading import Report
from scans.models import Scan, SyncState

FULL_EVERY = timedelta(days=1)


def since_of(scan: Scan) -> datetime | None:
    """Return the moment from which on changes are enough; None where everything is to be read."""
    if scan.full or scan.integration_id is None:
        return None
    state = _states(scan).filter(full_at__gt=timezone.now() - FULL_EVERY).first()
    return state.synced_to if state else None


def note_sync(scan: Scan, report: Report) -> None:
    """Record up to when the source was read, in the transaction that completes the scan; nothing where it was not read soundly."""
    text = scan.progress.get("synced_to")
    if not text or not report.whole:
        return
    # a clock that is ahead would have changes be passed over; one that is behind has some be read twice
    synced_to = min(datetime.fromisoformat(text), timezone.now())
    # what changed while everything was read is asked for the next time
    if not scan.complete:
        _states(scan).update(synced_to=synced_to)
    elif scan.integration_id and scan.started_at:
        values = {"synced_to": synced_to, "full_at": scan.started_at}
        SyncState.objects.update_or_create(values, integration_id=scan.integration_id, repository_id=scan.repository_id, ref=scan.ref)


def on_configured(sender: object, integration: Integration, **kwargs: Any) -> None:
    """Have everything be read the next time: the integration may see something else now."""
    SyncState.objects.filter(integration_id=integration.pk).delete()


def _states(scan: Scan) -> models.QuerySet[SyncState]:
    return SyncState.objects.filter(integration=scan.integration_id, repository_id=scan.repository_id, ref=scan.ref)
