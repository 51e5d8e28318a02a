"""Interprets a receipt: what it means becomes events and runs, and its outcome, all in one transaction.

Run twice, it does nothing twice: events carry a key made of the delivery, and one delivery is settled by one receipt only.
"""

from __future__ import annotations

import hashlib
import logging
import re
import uuid
from collections.abc import Sequence
from typing import Any, cast

from django.db import IntegrityError, transaction
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest

from core import bus, context, work, work_registry
from core.errors import Conflict, InvalidInput, RepoGuardError
from core.event_types import MAX_NAME, catalogue, check_data
from core.fields import DecryptError
from core.logs import fault_place
from core.texts import storable
from core.work import LeaseLost, Recorded, Run
from integrations.contract.inbound import InboundEvent, Verified
from integrations.models import Repository
from integrations.reported import RunReport, report_runs
from webhooks.choices import ReceiptOutcome
from webhooks.inbound.keeping import kept_request
from webhooks.inbound.selectors import find_receiver
from webhooks.inbound.waking import KIND_NAME
from webhooks.models import InboundSource, Receipt, SettledBody

logger = logging.getLogger(__name__)
SOURCE_GONE = "Its source was deleted before it was interpreted."
SAME_DELIVERY, SAME_BODY = "The same delivery as {}.", "Under another id, the same body as {}: it is not repeated."
_IDS_KEPT = 100
_NO_WORD = re.compile(r"[^A-Za-z0-9_-]+")


def interpret(run: Run) -> Recorded | None:
    """Interpret a claimed receipt: the handler of its kind of work. A failure ends in the row with its reason."""
    receipt = cast("Receipt", run.row)
    if receipt.result != ReceiptOutcome.WAITING:
        return None  # a former release wrote the outcome first, and its process died before it said that this is done
    source = InboundSource.objects.defer("secrets").filter(id=receipt.source_id, deleted_at__isnull=True).first()
    if source is None:
        return _settle(run, ReceiptOutcome.IGNORED, note=SOURCE_GONE)
    if first := _settled_before(receipt):
        return _count_duplicate(run, source, first)
    events, unique = _parsed(receipt, source)
    noted = _receipt_of_body(receipt) if unique else None
    if noted and noted != receipt.pk:
        return _count_duplicate(run, source, noted, SAME_BODY)
    try:
        return _publish(run, source, events, note_body=unique and noted is None)
    except IntegrityError:
        first = _settled_before(receipt)  # another worker has settled the same delivery at this moment
        if first is not None:
            return _count_duplicate(run, source, first)
        noted = _receipt_of_body(receipt) if unique else None
        if noted is None or noted == receipt.pk:
            raise
        return _count_duplicate(run, source, noted, SAME_BODY)


def _settled_before(receipt: Receipt) -> uuid.UUID | None:
    if not receipt.dedupe_id:
        return None
    same = Receipt.objects.filter(source_id=receipt.source_id, dedupe_id=receipt.dedupe_id)
    settled = same.filter(result__in=[ReceiptOutcome.PROCESSED, ReceiptOutcome.IGNORED]).exclude(pk=receipt.pk)
    first: uuid.UUID | None = settled.values_list("id", flat=True).first()
    return first


def _receipt_of_body(receipt: Receipt) -> uuid.UUID | None:
    """Return the receipt whose body, the same bytes, became events: this one when it is interpreted anew."""
    same = SettledBody.objects.filter(source_id=receipt.source_id, body_hash=receipt.body_hash)
    first: uuid.UUID | None = same.values_list("receipt_id", flat=True).first()
    return first


def _parsed(receipt: Receipt, source: InboundSource) -> tuple[list[InboundEvent], bool]:
    """Return what the request means, and whether the same body can mean nothing else."""
    try:
        receiver, request = find_receiver(source.provider), kept_request(receipt)
        verified = Verified(receipt.dedupe_id, receipt.event)
        return receiver.parse(request, verified), receiver.body_is_unique(request, verified)
    except DecryptError as error:
        raise Conflict(str(error)) from error
    except RepoGuardError:
        raise
    except Exception as error:  # whatever a receiver makes of strange bytes: trying again would not change it
        place = fault_place(error)
        logger.error("receipt_unreadable", extra={"receipt": str(receipt.pk), "fault": type(error).__name__, "place": place})
        sentence = f"The receiver of {source.provider} could not read it ({type(error).__name__}); the log says where."
        raise InvalidInput(sentence, code="unreadable") from error


def _publish(run: Run, source: InboundSource, events: Sequence[InboundEvent], *, note_body: bool) -> Recorded:
    receipt = cast("Receipt", run.row)
    repositories = _repositories(source, events)
    with context.acting(context.Actor("inbound", str(source.pk), f"inbound source {source.name}"), str(receipt.pk)), transaction.atomic():
        said = [_announcement(receipt, source, event, number, repositories) for number, event in enumerate(events)]
        if source.validate_schema:
            for announcement in said:
                check_data(announcement.type, announcement.data, strict=True)
        if note_body and said:  # raises IntegrityError where another receipt of the same bytes became events at this moment
            SettledBody.objects.create(source_id=receipt.source_id, body_hash=receipt.body_hash, receipt_id=receipt.pk)
        published = bus.publish_all(said)
        for event in events:
            if event.runs and event.repository:
                report_runs(RunReport(source.provider, event.repository, event.runs, source.owner_id))
        recorded = _settle(run, ReceiptOutcome.PROCESSED if said else ReceiptOutcome.IGNORED, [str(event.id) for event in published])
        _count(receipt, source)
    return recorded


def _announcement(
    receipt: Receipt, source: InboundSource, event: InboundEvent, number: int, repositories: dict[str, Repository]
) -> bus.Announcement:
    repository = repositories.get(event.repository)
    name = type_name(event.type)
    # by the delivery, so that a second receipt of it repeats nothing; by the type, so that a better reading later is published
    key = hashlib.sha256(f"{source.pk} {receipt.dedupe_id or receipt.pk} {number} {name}".encode()).hexdigest()
    return bus.Announcement(
        name,
        cast("Any", event.data),
        owner_id=repository.owner_id if repository else source.owner_id,
        repository_id=repository.id if repository else None,
        idempotency_key=f"inbound:{key}",
    )


def type_name(name: str) -> str:
    """Return an event type; of one made of a provider's words, characters that no type may have are replaced."""
    if catalogue.find(name) is not None or not name.startswith("inbound."):
        return name
    words = [_NO_WORD.sub("_", word).strip("_") or "event" for word in name.split(".")]
    return ".".join(words[:8])[:MAX_NAME].rstrip(".")


def _repositories(source: InboundSource, events: Sequence[InboundEvent]) -> dict[str, Repository]:
    """Return the known repositories that the events are about, of those that the source's owner sees, by full name."""
    # one that can't be stored is none that is known
    names = {event.repository for event in events if event.repository and storable(event.repository) == event.repository}
    if not names:
        return {}
    rows = Repository.objects.filter(provider=source.provider, full_name__in=names)
    if source.owner_id is not None:
        rows = rows.filter(owner_id=source.owner_id)
    return {row.full_name: row for row in rows}


def _settle(run: Run, result: ReceiptOutcome, event_ids: Sequence[str] = (), note: str = "") -> Recorded:
    """Write the outcome and that the receipt is done; raises LeaseLost, and IntegrityError for a delivery settled meanwhile."""
    also = {"result": result, "event_ids": list(event_ids[:_IDS_KEPT]), "progress": {"counted": True}}
    if not work.finish(run.row, run.token, note, **also):
        raise LeaseLost(str(run.row.pk))
    return Recorded()


def _count_duplicate(run: Run, source: InboundSource, first: uuid.UUID, note: str = SAME_DELIVERY) -> Recorded:
    with transaction.atomic():
        recorded = _settle(run, ReceiptOutcome.DUPLICATE, note=note.format(first))
        Receipt.objects.filter(pk=first).update(duplicates=F("duplicates") + 1)
        _count(cast("Receipt", run.row), source)
    return recorded


def _count(receipt: Receipt, source: InboundSource) -> None:
    """Count a receipt on its source, once however often it is interpreted. Last in a transaction: the row is everybody's."""
    if receipt.progress.get("counted"):
        return
    seen = Greatest(Coalesce("last_received_at", Value(receipt.received_at)), Value(receipt.received_at))
    InboundSource.objects.filter(pk=source.pk).update(accepted_count=F("accepted_count") + 1, last_received_at=seen)


KIND = work_registry.Kind(KIND_NAME, Receipt, interpret)
