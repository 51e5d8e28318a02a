"""Interpreting receipts again: one, or those of a range. What was published is not published twice."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from access import audit
from access.choices import AuditVerb
from core import work_registry
from core.errors import Conflict, InvalidInput
from core.ids import first_id_at
from core.models.work import WorkState
from webhooks.choices import ReceiptOutcome, ReprocessableOutcome, Verdict
from webhooks.inbound.waking import KIND_NAME
from webhooks.models import InboundSource, Receipt

MOST_AT_ONCE = 10_000
_STEP = 500


@dataclass(frozen=True)
class Queued:
    """How many receipts wait to be interpreted again, and whether the range holds more than are taken at once."""

    count: int
    more: bool


def reprocess(receipt: Receipt) -> Receipt:
    """Have a receipt interpreted again. Raises Conflict for one that was refused, waits, or is only a duplicate."""
    if receipt.verdict != Verdict.ACCEPTED:
        raise Conflict("It was refused: what is not authentic is never interpreted.", code="receipt_refused")
    with transaction.atomic():
        if not _queue(Receipt.objects.filter(pk=receipt.pk)):
            raise Conflict("It waits to be interpreted, or is a duplicate of another one.", code="receipt_waiting")
        audit.record(AuditVerb.ACTED, receipt, action="reprocess", owner_id=receipt.owner_id)
        work_registry.wake(KIND_NAME)
    receipt.refresh_from_db(fields=["state", "result", "outcome", "error", "finished_at", "attempts"])
    return receipt


def reprocess_range(
    rows: QuerySet[Receipt], since: datetime, until: datetime | None = None, *, source: InboundSource | None = None, outcome: str = ""
) -> Queued:
    """Have the receipts among `rows` of [since, until) with this outcome (failed by default) interpreted again, oldest first.

    At most MOST_AT_ONCE; call again for more. Raises InvalidInput.
    """
    now = timezone.now()
    end = min(until or now, now)
    if since >= end:
        raise InvalidInput.of("since", "must lie in the past, and before until.")
    wanted = ReprocessableOutcome(outcome or ReprocessableOutcome.FAILED)
    chosen = rows.filter(id__gte=first_id_at(since), id__lt=first_id_at(end), outcome=wanted, verdict=Verdict.ACCEPTED)
    if source is not None:
        chosen = chosen.filter(source_id=source.pk)
    ids: list[Any] = list(chosen.order_by("id").values_list("id", flat=True)[: MOST_AT_ONCE + 1])
    count = 0
    for start in range(0, min(len(ids), MOST_AT_ONCE), _STEP):
        with transaction.atomic():
            count += _queue(Receipt.objects.filter(id__in=ids[start : min(start + _STEP, MOST_AT_ONCE)]))
    if count:
        about = source or Receipt(pk=ids[0])
        said = {"since": [None, since], "until": [None, end], "outcome": [None, wanted.value], "requests": [None, count]}
        audit.record(AuditVerb.ACTED, about, action="reprocess", changes=said, owner_id=source.owner_id if source else None)
        work_registry.wake(KIND_NAME)
    return Queued(count, len(ids) > MOST_AT_ONCE)


def _queue(rows: QuerySet[Receipt]) -> int:
    ended = rows.filter(outcome__in=ReprocessableOutcome.values, state__in=[WorkState.DONE, WorkState.FAILED])
    again: dict[str, Any] = {"result": ReceiptOutcome.WAITING, "error": "", "attempts": 0, "finished_at": None}
    return ended.update(state=WorkState.QUEUED, run_after=timezone.now(), **again)
