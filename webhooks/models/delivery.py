"""WebhookDelivery: one event for one webhook. The row is the queue."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import Event
from webhooks.choices import DeliveryStatus, ErrorClass, Lane, Trigger
from webhooks.models.webhook import Webhook

PENDING = models.Q(status=DeliveryStatus.PENDING)
FAILED_LAST = ~models.Q(last_error_class=ErrorClass.NONE)


class WebhookDelivery(models.Model):
    """Waits while pending without a Lease; under way while it has one; whether it is parked follows from its webhook."""

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
    last_status_code = models.PositiveSmallIntegerField(null=True)
    last_error_class = models.CharField(max_length=20, choices=ErrorClass.choices, default=ErrorClass.NONE, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["webhook", "lane", "next_attempt_at"], name="delivery_waiting_idx", condition=PENDING),
            models.Index(fields=["webhook", "-id"], name="delivery_webhook_idx"),
            models.Index(fields=["owner_id", "-id"], name="delivery_owner_idx"),
            models.Index(fields=["status", "-id"], name="delivery_status_idx"),
            models.Index(fields=["webhook", "status", "-id"], name="delivery_webhook_status_idx"),
            models.Index(fields=["event_type", "-id"], name="delivery_type_idx"),
            models.Index(fields=["last_error_class", "-id"], name="delivery_error_idx", condition=FAILED_LAST),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} to {self.webhook_id}"


class Lease(models.Model):
    """A delivery whose request is under way. A row of its own: on the delivery it would cost every index of that table twice."""

    delivery_id = models.UUIDField(primary_key=True)
    webhook_id = models.UUIDField(db_index=True)
    owner = models.UUIDField(db_index=True, help_text="The worker; the lease lapses with its heartbeat.")
    token = models.UUIDField(help_text="An outcome is recorded only under it.")

    def __str__(self) -> str:
        return f"lease of {self.delivery_id}"


# neither finished nor under way: what a claim may take
WAITING = PENDING & ~models.Exists(Lease.objects.filter(delivery_id=models.OuterRef("pk")))


class DueHint(models.Model):
    """Left by a publisher in its own transaction: this webhook has `count` new deliveries, the first due at `due_at`."""

    webhook_id = models.UUIDField()
    due_at = models.DateTimeField()
    count = models.IntegerField(default=1, help_text="Deliveries that became pending.")

    def __str__(self) -> str:
        return f"{self.webhook_id} {self.due_at}"
