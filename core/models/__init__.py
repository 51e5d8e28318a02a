"""Tables of the plumbing that all rooms share."""

from __future__ import annotations

from core.models.events import Event
from core.models.idempotency import IdempotencyKey
from core.models.keys import EncryptionKey
from core.models.metrics import MetricCount
from core.models.outbound import CachedAnswer, Circuit, QuotaUsage, RequestLog
from core.models.owner import Owned, Owner
from core.models.runtime import RuntimeSettings
from core.models.work import Housekeeping, WorkCall, WorkRow
from core.models.workers import Slot, Worker

__all__ = [
    "CachedAnswer", "Circuit", "EncryptionKey", "Event", "Housekeeping", "IdempotencyKey", "MetricCount", "Owned", "Owner", "QuotaUsage",
    "RequestLog", "RuntimeSettings", "Slot", "WorkCall", "WorkRow", "Worker",
]  # fmt: skip
