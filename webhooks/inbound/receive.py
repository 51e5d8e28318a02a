"""Takes one request in: finds its source, verifies it by that source's provider, and stores it before anything reads it."""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from django.conf import settings
from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from access.addresses import client_address, is_allowed
from access.throttling import count_failure, count_for
from core.errors import NotAllowed, NotFound, Unavailable
from core.logs import fault_place
from core.models.work import WorkState
from core.texts import storable
from integrations.contract.inbound import InboundRequest, Receiver, Verified
from webhooks.choices import ReceiptOutcome, Verdict
from webhooks.inbound import keeping
from webhooks.inbound.body import gate
from webhooks.inbound.logs_dropped import before_logs, without_logs
from webhooks.inbound.storing import NewReceipt, Target, insert, kept_target, read_target
from webhooks.inbound.waking import waker
from webhooks.models import InboundSource, Receipt

logger = logging.getLogger(__name__)
FAILURES, SOURCE_FAILURES = "inbound.failures", "inbound.source_failures"
KEPT_A_MINUTE, REFUSED_A_MINUTE = 60, 300
"""So many refused requests of a source are kept a minute with headers and body, and so many at all, from however many addresses."""
_TOO_MANY = "This source was sent too many requests that are not authentic; one that is gets through all the same."
_NOT_KEPT = "Too many such came in this minute to keep its headers and body."
_DEFECT_SECONDS = 60
_LONGEST_ID, _LONGEST_EVENT, _LONGEST_REASON = 200, 100, 300


@dataclass(frozen=True)
class Received:
    """A stored authentic request: the id of its receipt, and what the platform waits for in the answer, if anything."""

    id: uuid.UUID
    answer: Mapping[str, Any] | None = None


class Refused(NotAllowed):
    """The request was stored as the receipt `receipt_id`, and refused."""

    def __init__(self, error: NotAllowed, receipt_id: uuid.UUID) -> None:
        super().__init__(error.message, code=error.code)
        self.receipt_id = receipt_id


@dataclass(frozen=True)
class _Arrival:
    """What is known of a request before its body is."""

    request: HttpRequest = field(repr=False)
    target: Target
    address: str | None
    now: datetime
    here: bool = False

    def may_send(self) -> bool:
        """Say whether the source is on, and lets this address in."""
        return self.target.active and (self.here or is_allowed(self.address, self.target.allowed_cidrs))


class _SourceChanged(Exception):
    """What was remembered of the source may not hold any more: read it, and judge the request again."""


def receive(request: HttpRequest, receiver: type[Receiver], source_id: uuid.UUID | None, *, here: bool = False) -> Received:
    """Take a request of a provider in, for the source with this id or the provider's default one.

    `here` says that the portal made the request itself: it has no address to judge. Raises NotFound without such a source, NotAllowed
    when the request is not authentic (Refused when it was stored), RateLimited when its address sent too many such, TooLarge,
    Unavailable when there is no room.
    """
    now, address = timezone.now(), None if here else client_address(request)
    target = kept_target(receiver.key, source_id)
    arrival = None if target is None else _Arrival(request, target, address, now, here)
    if arrival is None or not arrival.may_send():
        arrival = _fresh(request, receiver, source_id, address, now, here)
    with gate.taken(request, settings.INBOUND_MAX_BODY_BYTES) as body:
        inbound = _inbound(arrival, body)
        try:
            return _take(arrival, receiver, inbound)
        except _SourceChanged:
            return _take(_fresh(request, receiver, source_id, address, now, here), receiver, inbound)


def _fresh(
    request: HttpRequest, receiver: type[Receiver], source_id: uuid.UUID | None, address: str | None, now: datetime, here: bool
) -> _Arrival:
    target = read_target(receiver.key, source_id)
    if target is None:
        where = "with this id" if source_id else "marked as its default"
        raise NotFound(f"There is no inbound source of {receiver.key} {where}.")
    if not target.active:
        raise NotAllowed("This inbound source is switched off.", code="source_inactive")
    arrival = _Arrival(request, target, address, now, here)
    if not arrival.may_send():
        sentence = "The address it came from is not in the source's allowed networks."
        _refuse(arrival, receiver, NotAllowed(sentence, code="address_not_allowed"), _inbound(arrival, b""))
    return arrival


def _take(arrival: _Arrival, receiver: type[Receiver], inbound: InboundRequest) -> Received:
    verified = _verify(arrival, receiver, inbound)
    receipt_id = _store(arrival, receiver, inbound, verified)
    waker.notify()
    return Received(receipt_id, _answer(receiver, inbound, verified))


def _inbound(arrival: _Arrival, body: bytes) -> InboundRequest:
    meta = arrival.request.META
    headers = {name[5:].replace("_", "-").lower(): value for name, value in meta.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if value := meta.get(name):
            headers[name.replace("_", "-").lower()] = value
    query = {name: str(value) for name, value in arrival.request.GET.items()} if meta.get("QUERY_STRING") else {}
    return InboundRequest(headers=headers, body=body, query=query, received_at=arrival.now)


def _verify(arrival: _Arrival, receiver: type[Receiver], inbound: InboundRequest) -> Verified:
    secrets = arrival.target.secrets(arrival.now)
    try:
        if receiver.needs_secret and not secrets:
            raise NotAllowed("The source has no secret, so nothing can be verified; rotate its secret.")
        return receiver.verify(inbound, secrets, arrival.target.config, arrival.now)
    except NotAllowed as error:
        if arrival.target.kept:
            raise _SourceChanged from None
        _refuse(arrival, receiver, error, inbound)
    except Exception as error:  # a receiver's defect must neither let a request in nor lose it: the platform may send it again
        logger.error("verifier_failed", extra={"provider": receiver.key, "fault": type(error).__name__, "place": fault_place(error)})
        raise Unavailable("The request could not be verified because of a fault here.", retry_after=_DEFECT_SECONDS) from None


def _refuse(arrival: _Arrival, receiver: type[Receiver], error: NotAllowed, inbound: InboundRequest) -> NoReturn:
    """Store a request that is not authentic, unless its address sent or the source got too many; raises always."""
    whole = arrival.here or _count_refused(arrival)
    body = inbound.body
    headers = keeping.kept_headers(inbound.headers, arrival.target.secrets(arrival.now), verified=False)
    query = keeping.kept_query(inbound.query, arrival.target.secrets(arrival.now), verified=False)
    receipt = Receipt(source_id=arrival.target.id, owner_id=arrival.target.owner_id, received_at=arrival.now, run_after=arrival.now)
    receipt.remote_address, receipt.verdict = arrival.address or "", Verdict.REFUSED
    receipt.reason = storable(error.message if whole else f"{error.message} {_NOT_KEPT}")[:_LONGEST_REASON]
    receipt.state, receipt.finished_at, receipt.result = WorkState.DONE, arrival.now, ReceiptOutcome.NONE
    kept = before_logs(body[: keeping.UNVERIFIED_BYTES], receiver.log_fields)
    receipt.sealed = keeping.seal(headers, query, kept.body, kept.dropped) if whole else keeping.seal({}, {}, b"")
    receipt.size, receipt.body_hash = len(body), hashlib.sha256(body).hexdigest() if body else ""
    receipt.save(force_insert=True)
    InboundSource.objects.filter(id=arrival.target.id).update(refused_count=F("refused_count") + 1)
    raise Refused(error, receipt.id) from error


def _count_refused(arrival: _Arrival) -> bool:
    """Count a request that is not authentic; says whether there is room to keep it whole, and raises RateLimited where there is none."""
    count_failure(arrival.request, FAILURES, "request that proves authentic")
    # an address is free to whoever has a network of them: what all of them fill is bounded by the source
    return count_for(arrival.request, SOURCE_FAILURES, str(arrival.target.id), REFUSED_A_MINUTE, _TOO_MANY) <= KEPT_A_MINUTE


def _store(arrival: _Arrival, receiver: type[Receiver], inbound: InboundRequest, verified: Verified) -> uuid.UUID:
    body = inbound.body
    secrets = arrival.target.secrets(arrival.now)
    headers = keeping.kept_headers(inbound.headers, secrets, verified=True)
    query = keeping.kept_query(inbound.query, secrets, verified=True)
    kept = without_logs(body, receiver.log_fields)
    inline = len(kept.body) <= keeping.INLINE
    receipt = NewReceipt(
        source_id=arrival.target.id,
        owner_id=arrival.target.owner_id,
        received_at=arrival.now,
        remote_address=arrival.address or "",
        dedupe_id=_short_id(verified.dedupe_id),
        event=storable(verified.event)[:_LONGEST_EVENT],
        size=len(body),
        body_hash=hashlib.sha256(body).hexdigest(),
        parts=0 if inline else -(-len(kept.body) // keeping.PIECE),
        sealed=keeping.seal(headers, query, kept.body if inline else b"", kept.dropped),
    )
    stored = insert(receipt, arrival.target, () if inline else keeping.pieces(kept.body))
    if stored is None:
        raise _SourceChanged
    return stored


def _short_id(text: str) -> str:
    clean = storable(text)
    return clean if len(clean) <= _LONGEST_ID else hashlib.sha256(clean.encode()).hexdigest()


def _answer(receiver: type[Receiver], inbound: InboundRequest, verified: Verified) -> Mapping[str, Any] | None:
    try:
        return receiver.answer(inbound, verified)
    except Exception as error:  # the request is stored; a defect in the answer must not make the platform send it again
        logger.error("answer_failed", extra={"provider": receiver.key, "fault": type(error).__name__, "place": fault_place(error)})
        return None
