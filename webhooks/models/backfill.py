"""InboundBackfill: a look for deliveries that a platform made and a source never received."""

from __future__ import annotations

from django.db import models

from core.models import WorkRow
from core.models.work import WorkState
from webhooks.models.inbound import InboundSource

UNFINISHED = models.Q(state__in=[WorkState.QUEUED, WorkState.RUNNING])


class InboundBackfill(WorkRow):
    """Has the platform send again what it delivered since a moment and what did not arrive.

    `progress` holds the connector's cursor, from which a killed or limited run goes on.
    """

    source = models.ForeignKey(InboundSource, on_delete=models.CASCADE, related_name="backfills", db_index=False)
    owner_id = models.UUIDField(null=True, blank=True)
    since = models.DateTimeField(help_text="Deliveries from then on are looked at.")
    automatic = models.BooleanField(default=False, help_text="Started by the portal itself.")
    looked_at = models.PositiveIntegerField(default=0, help_text="Deliveries in the platform's list.")
    requested = models.PositiveIntegerField(default=0, help_text="Deliveries that the platform was asked to send again.")
    gone = models.PositiveIntegerField(default=0, help_text="Missed deliveries that the platform could not send again.")
    more = models.BooleanField(default=False, help_text="There may be further missed ones, for another look.")
    started_by = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "request for missed deliveries"
        verbose_name_plural = "requests for missed deliveries"
        constraints = [models.UniqueConstraint(fields=["source"], condition=UNFINISHED, name="inboundbackfill_one_at_a_time")]
        indexes = [
            models.Index(fields=["source", "-id"], name="inboundbackfill_source_idx"),
            models.Index(fields=["owner_id", "-id"], name="inboundbackfill_owner_idx"),
            models.Index(fields=["state", "run_after"], name="inboundbackfill_due_idx"),
        ]

    def __str__(self) -> str:
        return f"missed deliveries of {self.source_id}"
