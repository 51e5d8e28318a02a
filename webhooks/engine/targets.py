"""What the requests of a batch need: each webhook decrypted once, each event's body built once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from core.fields import DecryptError
from core.models import Event
from webhooks.engine.types import EventRow, Target
from webhooks.models import Webhook
from webhooks.retry import schedule_of
from webhooks.secrets import signing_secrets

logger = logging.getLogger(__name__)


def load_targets(webhook_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Target]:
    """Return the targets of these webhooks; one whose secrets can't be read says so in `problem` and harms no other."""
    if not webhook_ids:
        return {}
    try:
        return {hook.id: _target(hook) for hook in _hooks(webhook_ids)}
    except DecryptError:
        return {hook.id: _readable(hook) for hook in _hooks(webhook_ids).defer("secrets", "headers")}


def _hooks(webhook_ids: Collection[uuid.UUID]) -> QuerySet[Webhook]:
    return Webhook.objects.filter(id__in=webhook_ids).only("id", "url", "secrets", "headers", "retry_config")


def _readable(hook: Webhook) -> Target:
    try:
        return _target(hook)
    except DecryptError as error:
        logger.error("webhook_unreadable", extra={"webhook": str(hook.id), "reason": str(error)})
        return Target(hook.id, hook.url, (), {}, schedule_of(hook.retry_config), problem=str(error))


def _target(hook: Webhook) -> Target:
    stored: dict[str, str] | None = cast("dict[str, str] | None", hook.headers)
    headers = {str(name): str(value) for name, value in (stored or {}).items()}
    secrets = tuple(signing_secrets(cast("list[dict[str, str | None]]", hook.secrets), timezone.now()))
    return Target(hook.id, hook.url, secrets, headers, schedule_of(hook.retry_config))


def large_payloads(rows: Sequence[EventRow]) -> dict[uuid.UUID, str]:
    """Return the payloads, as stored, that were not read with their rows."""
    missing = {row.event_id for row in rows if row.data is None}
    if not missing:
        return {}
    return dict(Event.objects.filter(id__in=missing).values_list("id", Cast("payload", TextField())))


def body(row: EventRow, payloads: Mapping[uuid.UUID, str]) -> bytes:
    """Return the delivered JSON; `data` was stored as ASCII JSON and goes out to the letter."""
    moment = datetime.fromtimestamp(row.event_at, UTC).isoformat(timespec="milliseconds")
    data = payloads[row.event_id] if row.data is None else row.data
    return f'{{"id":"{row.event_id}","type":"{row.event_type}","timestamp":"{moment[:-6]}Z","data":{data}}}'.encode("ascii")
