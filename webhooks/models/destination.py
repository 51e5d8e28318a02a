"""What destinations that make several calls remember, and what follows a delivery that started something elsewhere."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import WorkRow
from core.models.work import WorkState
from webhooks.models.delivery import WebhookDelivery
from webhooks.models.webhook import Webhook


class DestinationMemory(models.Model):
    """What a destination made elsewhere for a key (a ticket for a finding), so that a repeated delivery makes no second one."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="memory", db_index=False)
    key = models.CharField(max_length=200)
    external_id = models.CharField(max_length=500)
    data = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now(), help_text="By the database's clock, as is what it is compared with.")

    class Meta:
        verbose_name_plural = "destination memory"
        constraints = [models.UniqueConstraint(fields=["webhook", "key"], name="destination_memory_once")]

    def __str__(self) -> str:
        return f"{self.key}: {self.external_id}"


class FollowUp(WorkRow):
    """A run elsewhere that a delivery started, polled until it ends: "delivered -> build #812 -> passed"."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="follow_ups", db_index=False)
    url = models.CharField(max_length=2000)
    label = models.CharField(max_length=200, blank=True, help_text="Such as: build #812.")
    link = models.CharField(max_length=2000, blank=True, help_text="For people.")
    result = models.CharField(max_length=40, blank=True, help_text="Empty while it runs; then such as passed or failed.")
    memory = models.JSONField(default=dict, blank=True, help_text="What the connector needs for the next poll.")
    give_up_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery"], name="followup_once")]
        indexes = [
            models.Index(fields=["state", "run_after"], name="followup_due_idx"),
            models.Index(fields=["lease_owner"], name="followup_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.label or f"follow-up of {self.delivery_id}"

    @property
    def goes_on(self) -> bool:
        """Say whether it is asked about again."""
        return self.state in (WorkState.QUEUED, WorkState.RUNNING)

    @property
    def shown_error(self) -> str:
        """Return why it could not be asked about, the last time or at all."""
        return self.error or str(self.progress.get("error", ""))
