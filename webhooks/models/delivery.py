"""WebhookDelivery: one event for one webhook. The row is the queue."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import Event
from webhooks.choices import DeliveryStatus, ErrorClass, Lane, Trigger
from webhooks.models.webhook import Webhook

WAITING = models.Q(status=DeliveryStatus.PENDING, lease_owner__isnull=True)


class WebhookDelivery(models.Model):
    """Waits while pending and unleased; leased while its request is under way; whether it is parked follows from its webhook."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="deliveries")
    event_type = models.CharField(max_length=100)
    owner_id = models.UUIDField(null=True, blank=True, help_text="Owner of the webhook, so that a team's log is one index scan.")
    status = models.CharField(max_length=10, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    lane = models.PositiveSmallIntegerField(choices=Lane.choices, default=Lane.NORMAL)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.AUTO)
    attempts = models.PositiveIntegerField(default=0, help_text="Attempts made in all.")
    step = models.PositiveSmallIntegerField(default=0, help_text="Place in the retry schedule; a redelivery starts anew.")
    next_attempt_at = models.DateTimeField(null=True)
    lease_owner = models.UUIDField(null=True)
    lease_token = models.UUIDField(null=True)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    last_error_class = models.CharField(max_length=20, choices=ErrorClass.choices, default=ErrorClass.NONE, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["webhook", "lane", "next_attempt_at"], name="delivery_waiting_idx", condition=WAITING),
            models.Index(fields=["webhook"], name="delivery_leased_idx", condition=models.Q(lease_owner__isnull=False)),
            models.Index(fields=["lease_owner"], name="delivery_lease_idx", condition=models.Q(lease_owner__isnull=False)),
            models.Index(fields=["webhook", "-id"], name="delivery_webhook_idx"),
            models.Index(fields=["owner_id", "-id"], name="delivery_owner_idx"),
            models.Index(fields=["status", "-id"], name="delivery_status_idx"),
            models.Index(fields=["webhook", "status", "-id"], name="delivery_webhook_status_idx"),
            models.Index(fields=["event_type", "-id"], name="delivery_type_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} to {self.webhook_id}"


class DueHint(models.Model):
    """Left by a publisher in its own transaction: this webhook has `count` new deliveries, the first due at `due_at`."""

    webhook_id = models.UUIDField()
    due_at = models.DateTimeField()
    count = models.IntegerField(default=1, help_text="Deliveries that became pending.")

    def __str__(self) -> str:
        return f"{self.webhook_id} {self.due_at}"
