"""The one statement of the receive path: it stores a receipt if the source is still as it was known to be.

Sources are kept in memory between requests, with the time of their last change. The statement compares that time, so that what was
changed or switched off a moment ago, by any process, counts at once; then the source is read and the request judged anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from typing import Any

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F

from core import prepared
from core.fields import EncryptedBytesField
from core.ids import uuid7
from webhooks import secrets as signing
from webhooks.choices import ReceiptOutcome, Verdict
from webhooks.inbound.provider_addresses import known
from webhooks.models import InboundSource, Receipt, ReceiptPart

_NAMES = ("id", "owner_id", "active", "config", "secrets", "allowed_cidrs", "updated_at", "provider_addresses")
_MOST_KEPT = 1000
# what the statement writes of a new receipt beside what it is given
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
    """With the networks that the provider publishes, where the source goes by these; empty is any."""
    updated_at: datetime
    kept: bool = False

    def secrets(self, now: datetime) -> list[str]:
        """Return the secrets that verify now, the current one first."""
        return signing.signing_secrets(self.stored_secrets, now)


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """What a receipt of an authentic request is stored with; `sealed` is not encrypted yet."""

    source_id: uuid.UUID
    owner_id: uuid.UUID | None
    received_at: datetime
    remote_address: str
    dedupe_id: str
    event: str
    size: int
    body_hash: str
    parts: int
    sealed: bytes = field(repr=False)
    id: uuid.UUID = field(default_factory=uuid7)

    def values(self) -> dict[str, Any]:
        """Return the values by the names of a receipt's columns."""
        return {**{name: getattr(self, name) for name in _GIVEN}, "run_after": self.received_at}


_GIVEN = tuple(one.name for one in fields(NewReceipt))
_COLUMNS = (*_GIVEN, "run_after")
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
    id, owner_id, active, config, stored, cidrs, updated_at, published = row
    if published:  # after the source: if the list changes at this moment, so does its updated_at
        cidrs = [*cidrs, *known(provider).networks]
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    _kept[provider, source_id] = Target(id, owner_id, active, config, stored, tuple(cidrs), updated_at, kept=True)
    return Target(id, owner_id, active, config, stored, tuple(cidrs), updated_at)


def forget_targets() -> None:
    """Remember no source: between tests."""
    _kept.clear()


def insert(receipt: NewReceipt, target: Target, pieces: Iterable[bytes] = ()) -> uuid.UUID | None:
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
                ReceiptPart.objects.create(receipt_id=receipt.id, number=number, data=data)
    return stored


def _insert(receipt: NewReceipt, target: Target) -> uuid.UUID | None:
    if _insert_if(receipt, target):
        return receipt.id
    if target.kept:
        return None
    if receipt.dedupe_id and (first := _count_duplicate(receipt)):
        return first
    # the source was changed, or the settled receipt pruned, within these milliseconds
    Receipt(**receipt.values(), verdict=Verdict.ACCEPTED).save(force_insert=True)
    return receipt.id


def _count_duplicate(receipt: NewReceipt) -> uuid.UUID | None:
    settled = (ReceiptOutcome.PROCESSED, ReceiptOutcome.IGNORED)
    same = Receipt.objects.filter(source_id=receipt.source_id, dedupe_id=receipt.dedupe_id, result__in=settled)
    first: uuid.UUID | None = same.values_list("id", flat=True).first()
    if first is None or not Receipt.objects.filter(id=first).update(duplicates=F("duplicates") + 1):
        return None
    return first


def _insert_if(receipt: NewReceipt, target: Target) -> bool:
    # the connection is not asked before whether it still lives, as that is a statement: one that died is replaced, and told again
    connection.health_check_done = True  # type: ignore[attr-defined]  # the stubs don't know it
    try:
        return _execute(receipt, target)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        connection.close()
    try:
        return _execute(receipt, target)
    except IntegrityError:
        return True  # it was stored, and only the answer got lost


def _execute(receipt: NewReceipt, target: Target) -> bool:
    given = parameters(receipt, target)
    if connection.vendor == "postgresql":
        connection.ensure_connection()
        with connection.wrap_database_errors:
            return bool(prepared.execute_replanned(statement(), given).rowcount)
    with connection.cursor() as cursor:
        cursor.execute(statement(), given)
        return bool(cursor.rowcount)


def parameters(receipt: NewReceipt, target: Target) -> list[Any]:
    """Return what statement() is given, as this database's driver takes it."""
    given = [*receipt.values().values(), target.id, target.updated_at, target.id, receipt.dedupe_id]
    if connection.vendor == "postgresql":
        given[_COLUMNS.index("sealed")] = EncryptedBytesField.seal(receipt.sealed)
        return given
    return [one.get_db_prep_save(value, connection) for one, value in zip(_fields(), given, strict=True)]


@cache
def _fields() -> tuple[Any, ...]:
    """Return the columns of what the statement is given, in its order."""
    receipt = {one.attname: one for one in Receipt._meta.concrete_fields}
    source = InboundSource._meta
    return (
        *(receipt[name] for name in _COLUMNS), source.pk, source.get_field("updated_at"), receipt["source_id"], receipt["dedupe_id"],
    )  # fmt: skip


@cache
def statement() -> str:
    """Return the one statement of the receive path."""
    # written out: the ORM's compiler costs more than the rest of the request, and knows no INSERT with a condition
    receipts, sources = Receipt._meta.db_table, InboundSource._meta.db_table
    given = [_placeholder(str(one.db_type(connection))) for one in _fields()]
    names, values = ", ".join([*_COLUMNS, *_CONSTANT]), ", ".join([*given[: len(_COLUMNS)], *_CONSTANT.values()])
    source, changed, same_source, delivery = given[len(_COLUMNS) :]
    return f"""
        INSERT INTO {receipts} ({names}) SELECT {values}
        WHERE EXISTS (SELECT 1 FROM {sources} WHERE id = {source} AND updated_at = {changed}) AND NOT EXISTS (
            SELECT 1 FROM {receipts} WHERE source_id = {same_source} AND dedupe_id = {delivery}
            AND result IN ('processed', 'ignored') AND NOT (dedupe_id = '')
        )"""  # noqa: S608 - names of our own tables


def _placeholder(kind: str) -> str:
    if connection.vendor != "postgresql":
        return "%s"
    return f"{'%b' if kind == 'bytea' else '%s'}::{kind}"
