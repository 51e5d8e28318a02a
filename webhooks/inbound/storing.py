"""The one statement of the receive path: it stores a receipt if the source is still as it was known to be.

Sources are kept in memory between requests, with the time of their last change. The statement compares that time, so that what was
changed or switched off a moment ago, by any process, counts at once; then the source is read and the request judged anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from webhooks import secrets as signing
from webhooks.choices import ReceiptOutcome
from webhooks.models import InboundSource, Receipt, ReceiptPart

_NAMES = ("id", "owner_id", "active", "config", "secrets", "allowed_cidrs", "updated_at")
_MOST_KEPT = 1000
# what the statement is given; everything else of a new receipt is written out in it
_GIVEN = (
    "id", "source_id", "owner_id", "received_at", "run_after", "remote_address", "size", "body_hash", "sealed", "parts",
    "dedupe_id", "event",
)  # fmt: skip
_CONSTANT = {
    "state": "'queued'", "attempts": "0", "max_attempts": "3", "progress": "'{}'", "error": "''", "method": "'POST'",
    "verdict": "'accepted'", "reason": "''", "result": "'waiting'", "duplicates": "0", "event_ids": "'[]'",
}  # fmt: skip


@dataclass(frozen=True)
class Target:
    """What the receive path knows of a source; `kept` says that it was remembered, and may have changed since."""

    id: uuid.UUID
    owner_id: uuid.UUID | None
    active: bool
    config: dict[str, Any]
    stored_secrets: list[dict[str, Any]] = field(repr=False)
    allowed_cidrs: tuple[str, ...]
    updated_at: datetime
    kept: bool = False

    def secrets(self, now: datetime) -> list[str]:
        """Return the secrets that verify now, the current one first."""
        return signing.signing_secrets(self.stored_secrets, now)


_kept: dict[tuple[str, uuid.UUID | None], Target] = {}


def kept_target(provider: str, source_id: uuid.UUID | None) -> Target | None:
    """Return the source as this process remembers it, None where it does not."""
    return _kept.get((provider, source_id))


def read_target(provider: str, source_id: uuid.UUID | None) -> Target | None:
    """Read the source of a provider with this id, or its default one, and remember it; raises DecryptError."""
    which = {"is_default": True} if source_id is None else {"id": source_id}
    row = InboundSource.objects.filter(provider=provider, deleted_at__isnull=True, **which).values_list(*_NAMES).first()
    if row is None:
        _kept.pop((provider, source_id), None)
        return None
    id, owner_id, active, config, stored, cidrs, updated_at = row
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[provider, source_id] = Target(id, owner_id, active, config, stored, tuple(cidrs), updated_at, kept=True)
    return Target(id, owner_id, active, config, stored, tuple(cidrs), updated_at)


def forget_targets() -> None:
    """Remember no source: between tests."""
    _kept.clear()


def insert(receipt: Receipt, target: Target, pieces: Iterable[bytes] = ()) -> uuid.UUID | None:
    """Store an accepted receipt with the pieces of a large body; return its id, or that of the one which settled its delivery.

    A delivery that was settled before is counted on its first receipt and not stored again. None means that the source changed
    since it was remembered, or that the delivery was settled: read the source, judge again, and call this with what was read.
    """
    if not receipt.parts:
        return _insert(receipt, target)
    with transaction.atomic():
        stored = _insert(receipt, target)
        if stored == receipt.id:
            for number, data in enumerate(pieces):
                ReceiptPart.objects.create(receipt=receipt, number=number, data=data)
    return stored


def _insert(receipt: Receipt, target: Target) -> uuid.UUID | None:
    if _insert_if(receipt, target):
        return receipt.id
    if target.kept:
        return None
    if receipt.dedupe_id and (first := _count_duplicate(receipt)):
        return first
    # the source was changed, or the settled receipt pruned, within these milliseconds
    receipt.save(force_insert=True)
    return receipt.id


def _count_duplicate(receipt: Receipt) -> uuid.UUID | None:
    settled = (ReceiptOutcome.PROCESSED, ReceiptOutcome.IGNORED)
    same = Receipt.objects.filter(source_id=receipt.source_id, dedupe_id=receipt.dedupe_id, result__in=settled)
    first: uuid.UUID | None = same.values_list("id", flat=True).first()
    if first is None or not Receipt.objects.filter(id=first).update(duplicates=F("duplicates") + 1):
        return None
    return first


@cache
def _sql() -> str:
    # written out: the ORM's compiler costs more than the rest of the request, and knows no INSERT with a condition
    receipts, sources = Receipt._meta.db_table, InboundSource._meta.db_table
    names, values = ", ".join([*_GIVEN, *_CONSTANT]), ", ".join(["%s"] * len(_GIVEN) + list(_CONSTANT.values()))
    same = f"EXISTS (SELECT 1 FROM {sources} WHERE id = %s AND updated_at = %s)"  # noqa: S608 - names of our own tables
    settled = (
        f"EXISTS (SELECT 1 FROM {receipts} WHERE source_id = %s AND dedupe_id = %s"  # noqa: S608
        " AND result IN ('processed', 'ignored') AND NOT (dedupe_id = ''))"
    )
    return f"INSERT INTO {receipts} ({names}) SELECT {values} WHERE {same} AND NOT {settled}"


@cache
def _fields() -> tuple[Any, ...]:
    columns = {one.attname: one for one in Receipt._meta.concrete_fields}
    return tuple(columns[name] for name in _GIVEN)


def _insert_if(receipt: Receipt, target: Target) -> bool:
    values = [one.get_db_prep_save(getattr(receipt, one.attname), connection) for one in _fields()]
    changed = InboundSource._meta.get_field("updated_at").get_db_prep_value(target.updated_at, connection)
    source_id, dedupe_id = values[1], values[10]
    parameters = [*values, source_id, changed, source_id, dedupe_id]
    # the connection is not asked before whether it still lives, as that is a statement: one that died is replaced, and told again
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs don't know it
    try:
        return _execute(parameters)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
    try:
        return _execute(parameters)
    except IntegrityError:
        return True  # it was stored, and only the answer got lost


def _execute(parameters: list[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_sql(), parameters)
        return bool(cursor.rowcount)
