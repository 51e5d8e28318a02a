"""Event: what happened. Immutable; the outbox of everything the portal tells others."""

from __future__ import annotations

from django.db import models

from core.fields import RawJSONField
from core.ids import uuid7
from core.models.owner import Owned


class Event(Owned):
    """One thing that happened. Its id is the `webhook-id` of every delivery of it, also on retry and replay."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    type = models.CharField(max_length=100)
    payload = RawJSONField(help_text="The `data` of the delivered body.")
    size = models.PositiveIntegerField(help_text="Bytes of the payload as JSON.")
    repository_id = models.UUIDField(null=True, blank=True)
    actor = models.CharField(max_length=200, blank=True, help_text="Who or what caused it.")
    request_id = models.CharField(max_length=64, blank=True)
    idempotency_key = models.CharField(
        max_length=200, null=True, blank=True, unique=True, help_text="A publisher that runs twice publishes once under the same key."
    )
    created_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["type", "-id"], name="event_type_idx"),
            models.Index(fields=["owner", "-id"], name="event_owner_idx"),
            models.Index(fields=["repository_id", "-id"], name="event_repository_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"
