"""DeliveryAttempt: what one request was and how it ended. Append-only, written when the outcome is known."""

from __future__ import annotations

from django.db import models

from core.ids import uuid7
from webhooks.choices import ErrorClass, Outcome, Trigger
from webhooks.models.delivery import WebhookDelivery


class DeliveryAttempt(models.Model):
    """Headers and bodies are redacted and capped before they get here. Times in milliseconds; empty where a phase was not reached."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # no constraint: checking it would lock and touch the delivery for every attempt; the engine holds the lease, and pruning
    # and purging delete attempts before their deliveries
    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempt_log", db_index=False, db_constraint=False)
    webhook_id = models.UUIDField()
    number = models.PositiveIntegerField()
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.AUTO)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    started_at = models.DateTimeField()
    url = models.CharField(max_length=2000, help_text="The URL actually called, without credentials.")
    address = models.CharField(max_length=60, blank=True, help_text="The address actually connected to.")
    request_headers = models.JSONField(default=dict)
    status_code = models.PositiveSmallIntegerField(null=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True)
    response_truncated = models.BooleanField(default=False)
    error_class = models.CharField(max_length=20, choices=ErrorClass.choices, default=ErrorClass.NONE, blank=True)
    error = models.CharField(max_length=500, blank=True, help_text="What happened and the likely fix.")
    dns_ms = models.FloatField(null=True)
    connect_ms = models.FloatField(null=True)
    tls_ms = models.FloatField(null=True)
    first_byte_ms = models.FloatField(null=True)
    total_ms = models.FloatField(null=True)
    next_attempt_at = models.DateTimeField(null=True)
    template_version = models.UUIDField(null=True)

    class Meta:
        verbose_name = "attempt"
        indexes = [models.Index(fields=["delivery", "id"], name="attempt_delivery_idx")]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"
