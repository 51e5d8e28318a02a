"""Old logs on their way out: written to the archive first, and only what was written is deleted.

Read, written, and deleted where it is still as it was written; a kill between any two of these leaves the rows, and the next run writes
the same file again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from integrations.archives import keep
from integrations.models import Integration
from webhooks.models import DeliveryAttempt, FollowUp, WebhookDelivery

MOST_ROWS = 300
"""Of deliveries, and of attempts, in one file: attempts hold bodies, and a file is made in memory."""
_CONTENT_TYPE = "application/gzip"
_FOLLOW_UP = ("delivery_id", "label", "link", "result", "error")


@dataclass(frozen=True)
class Kept:
    """What a file of the archive holds."""

    deliveries: dict[uuid.UUID, tuple[int, datetime | None]]
    attempts: frozenset[uuid.UUID]
    partial: bool
    """There may be more attempts of these deliveries, which therefore have to stay."""

    def holds(self, delivery_id: uuid.UUID, attempts: int, finished_at: datetime | None) -> bool:
        """Say whether a delivery is still as it was written."""
        return self.deliveries.get(delivery_id, (-1, None)) == (attempts, finished_at)


def archive(archives: Sequence[Integration], ids: Sequence[uuid.UUID]) -> Kept:
    """Write deliveries with their attempts to the archives, as gzipped JSON lines. Raises Unavailable; not in a transaction."""
    deliveries = _fitting(_rows(WebhookDelivery.objects.filter(id__in=ids).order_by("id").values()[:MOST_ROWS]))
    of_these = DeliveryAttempt.objects.filter(delivery_id__in=[row["id"] for row in deliveries])
    attempts = _rows(of_these.order_by("delivery_id", "id").values()[:MOST_ROWS])
    follow_ups = _rows(FollowUp.objects.filter(delivery_id__in=[row["id"] for row in deliveries]).order_by("id").values(*_FOLLOW_UP))
    if deliveries:
        keep(archives, _name(deliveries, attempts), _file(deliveries, attempts, follow_ups), _CONTENT_TYPE)
    return Kept(
        deliveries={row["id"]: (row["attempts"], row["finished_at"]) for row in deliveries},
        attempts=frozenset(row["id"] for row in attempts),
        partial=len(attempts) == MOST_ROWS,
    )


def _rows(rows: Iterable[Any]) -> list[dict[str, Any]]:
    return list(rows)


def _fitting(deliveries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first deliveries whose attempts fit into a file; at least one."""
    total = 0
    for number, row in enumerate(deliveries):
        total += row["attempts"]
        if total >= MOST_ROWS and number:
            return deliveries[:number]
    return deliveries


def _file(deliveries: Iterable[dict[str, Any]], attempts: Iterable[dict[str, Any]], follow_ups: Iterable[dict[str, Any]]) -> bytes:
    lines = [json.dumps({"kind": kind, **row}, default=_plain) for kind, rows in
             (("delivery", deliveries), ("attempt", attempts), ("follow_up", follow_ups)) for row in rows]  # fmt: skip
    return gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)


def _name(deliveries: Sequence[dict[str, Any]], attempts: Sequence[dict[str, Any]]) -> str:
    """Return a name that the same rows have again, and no others."""
    rows = hashlib.sha256(b"".join(row["id"].bytes for row in (*deliveries, *attempts))).hexdigest()[:16]
    first = deliveries[0]
    return f"logs/deliveries/{first['created_at']:%Y/%m/%d}/{first['id']}-{rows}.jsonl.gz"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
