"""What the requests of a batch need: each webhook decrypted once, each event's body built once."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from django.db.models import TextField
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


def _hooks(webhook_ids: Collection[uuid.UUID]) -> Iterable[Webhook]:
    return Webhook.objects.filter(id__in=webhook_ids).only("id", "url", "secrets", "headers", "retry_config")


def _readable(hook: Webhook) -> Target:
    try:
        return _target(hook)
    except DecryptError as error:
        logger.error("webhook_unreadable", extra={"webhook": str(hook.id), "reason": str(error)})
        return Target(hook.id, hook.url, (), {}, schedule_of(hook.retry_config), problem=str(error))


def _target(hook: Webhook) -> Target:
    headers = {str(name): str(value) for name, value in (hook.headers or {}).items()}
    secrets = tuple(signing_secrets(hook.secrets, timezone.now()))
    return Target(hook.id, hook.url, secrets, headers, schedule_of(hook.retry_config))


def bodies(rows: Sequence[EventRow]) -> dict[uuid.UUID, bytes]:
    """Return the delivered body of each event, with `data` exactly as it was stored."""
    found = Event.objects.filter(id__in={row.event_id for row in rows}).annotate(text=Cast("payload", TextField()))
    return {
        event_id: body(event_id, event_type, created_at, text)
        for event_id, event_type, created_at, text in found.values_list("id", "type", "created_at", "text")
    }


def body(event_id: uuid.UUID, event_type: str, created_at: datetime, data: str) -> bytes:
    """Return the delivered JSON; `data` is stored as ASCII JSON and goes out to the letter."""
    moment = created_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f'{{"id":"{event_id}","type":"{event_type}","timestamp":"{moment}","data":{data}}}'.encode("ascii")
