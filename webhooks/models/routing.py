"""What waits for a digest, and which deliveries a newer one may make void. Both are rows of webhooks with such rules only."""

from __future__ import annotations

from django.db import models

from core.ids import uuid7
from core.models import Event
from webhooks.choices import Lane
from webhooks.models.webhook import Webhook


class DigestEntry(models.Model):
    """An event that waits for the digest of its key. The publisher only inserts: no two publishers wait for each other.

    There is no row for a window. It ends with the earliest `ends_at` of its key, or, where a webhook waits for quiet, earlier: with
    the latest `due_at`. An entry that commits after its window was closed opens the next one.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="+", db_index=False)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")
    key = models.CharField(max_length=64, help_text="Hash of what the events of one digest have in common, and of how they leave.")
    label = models.TextField(blank=True, help_text="The same in words.")
    latest = models.BooleanField(help_text="Only the latest event leaves; it was so when the event came.")
    lane = models.PositiveSmallIntegerField(choices=Lane.choices)
    ends_at = models.DateTimeField(help_text="End of the window that this event opens, if it is the first.")
    due_at = models.DateTimeField(help_text="When to look whether the window is over.")

    class Meta:
        verbose_name = "event waiting for a digest"
        indexes = [
            models.Index(fields=["due_at"], name="digestentry_due_idx"),
            models.Index(fields=["webhook", "key", "ends_at"], name="digestentry_key_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} for {self.webhook_id}"


class SubjectMark(models.Model):
    """Says what a delivery is the latest word of, so that a newer one can make it void. At most one settled row a subject.

    A row of its own, as a lease is: on the delivery it would be an index that all webhooks pay for.
    """

    delivery_id = models.UUIDField(primary_key=True)
    webhook_id = models.UUIDField()
    key = models.CharField(max_length=64, help_text="Hash of the subject.")
    settled = models.BooleanField(default=False, help_text="Everything older of its subject was looked at.")

    class Meta:
        indexes = [
            models.Index(fields=["webhook_id", "key"], name="subjectmark_key_idx"),
            models.Index(fields=["webhook_id"], name="subjectmark_open_idx", condition=models.Q(settled=False)),
        ]

    def __str__(self) -> str:
        return f"subject of {self.delivery_id}"
