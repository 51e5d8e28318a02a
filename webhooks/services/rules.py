"""What follows for waiting rows when the routing of a webhook changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models.functions import Now

from core.housekeeping import delete_rows
from webhooks.models import DigestEntry, SubjectMark, Webhook


def mirrored(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that repeat what the routing says."""
    return {"expires_after": (fields["routing"] or {}).get("expires_after")} if "routing" in fields else {}


def let_go(webhook: Webhook, fields: Mapping[str, Any]) -> None:
    """Before other rules for digests are stored: what was collected by the present ones leaves at once."""
    if "routing" in fields and _digest(webhook.routing) != _digest(fields["routing"]):
        DigestEntry.objects.filter(webhook_id=webhook.id).update(ends_at=Now(), due_at=Now())


def drop(webhook: Webhook) -> None:
    """Forget what waits for the digests of a deleted webhook; publishers that didn't see that yet leave little to the purge."""
    delete_rows(DigestEntry.objects.filter(webhook_id=webhook.id))
    delete_rows(SubjectMark.objects.filter(webhook_id=webhook.id))


def _digest(routing: Mapping[str, Any] | None) -> Any:
    return (routing or {}).get("digest")
