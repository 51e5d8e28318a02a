"""Reading requests for missed deliveries, and whether a source can have any."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from core.ids import first_id_at
from core.models.work import WorkState
from integrations.contract.backfill import Backfill
from integrations.registry import with_capability
from webhooks.choices import BackfillStatus, ReceiptOutcome, Verdict
from webhooks.inbound.selectors import ADDRESS, receiver_url
from webhooks.models import InboundBackfill, InboundSource, Receipt


def backfillers() -> dict[str, type[Backfill]]:
    """Return the connectors whose platforms send missed deliveries again, by key."""
    return {connector.key: connector for connector in with_capability(Backfill) if issubclass(connector, Backfill)}


def hindrance(source: InboundSource) -> str:
    """Return what has to be done before missed deliveries can be requested, "" where nothing has."""
    connector = backfillers().get(source.provider)
    if connector is None:
        return f"{source.provider} can't be asked for missed deliveries."
    if source.integration_id is None:
        return f"Choose the integration with {connector.title} through which it is asked."
    missing = [name for name in connector.backfill_needs if not source.config.get(name)]
    return f"Fill in {', '.join(missing)} among the source's options." if missing else ""


def addresses_of(source: InboundSource) -> tuple[str, ...]:
    """Return every address that the source receives at, the one that people are shown first."""
    shown = receiver_url(source)
    base = settings.PUBLIC_URL.rstrip("/")
    names = [f"{source.provider}/{source.pk}", *([source.provider] if source.is_default else [])]
    return tuple(dict.fromkeys([shown, *(f"{base}/{prefix}/{name}" for name in names for prefix in (ADDRESS, "api/webhook"))]))


def taken_in(source_id: uuid.UUID, since: datetime, ids: Collection[str]) -> set[str]:
    """Return those of some ids of deliveries that the source has a receipt of, whatever came of it."""
    same = Receipt.objects.filter(source_id=source_id, dedupe_id__in=list(ids)).exclude(dedupe_id="")
    settled = same.filter(result__in=[ReceiptOutcome.PROCESSED, ReceiptOutcome.IGNORED])
    found = set(settled.values_list("dedupe_id", flat=True))
    if len(found) < len(set(ids)):
        # few of these there are: no index leads from a delivery to them
        others = same.filter(id__gte=first_id_at(since), verdict=Verdict.ACCEPTED)
        unsettled = others.filter(outcome__in=[ReceiptOutcome.WAITING, ReceiptOutcome.FAILED])
        found |= set(unsettled.values_list("dedupe_id", flat=True))
    return found


def shown_backfills() -> QuerySet[InboundBackfill]:
    """Return the requests for missed deliveries of sources that were not deleted, with the sources' names."""
    return InboundBackfill.objects.filter(source__deleted_at__isnull=True).select_related("source").defer("source__secrets")


def last_backfill(source: InboundSource) -> InboundBackfill | None:
    """Return the source's latest request for missed deliveries, or None."""
    return InboundBackfill.objects.filter(source_id=source.pk).order_by("-id").first()


def shown_status(row: InboundBackfill) -> BackfillStatus:
    """Return where a request stands: it waits when a reason to wait was noted."""
    if row.state in (WorkState.DONE, WorkState.FAILED):
        return BackfillStatus(row.state)
    return BackfillStatus.WAITING if row.state == WorkState.QUEUED and row.error else BackfillStatus.RUNNING


def with_status(rows: QuerySet[InboundBackfill], status: str) -> QuerySet[InboundBackfill]:
    """Return the requests that shown_status() says this of."""
    if status in (BackfillStatus.DONE, BackfillStatus.FAILED):
        return rows.filter(state=status)
    waiting = rows.filter(state=WorkState.QUEUED).exclude(error="")
    if status == BackfillStatus.WAITING:
        return waiting
    return rows.filter(state__in=[WorkState.QUEUED, WorkState.RUNNING]).exclude(state=WorkState.QUEUED, error__gt="")
