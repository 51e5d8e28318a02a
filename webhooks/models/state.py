"""WebhookState: the narrow row beside a webhook that the delivery engine locks and changes."""

from __future__ import annotations

from django.db import models

from webhooks.choices import BreakerState, HoldReason
from webhooks.models.webhook import Webhook


class WebhookState(models.Model):
    """Publishing never touches it (an open writer would hide the webhook from SKIP LOCKED); drains fold DueHints in.

    In flight is not stored: it is the count of live leases.
    """

    webhook = models.OneToOneField(Webhook, primary_key=True, on_delete=models.CASCADE, related_name="state")
    enabled = models.BooleanField(default=True, help_text="Mirrors Webhook.status, so that a claim reads one row.")
    oldest_due_at = models.DateTimeField(null=True, help_text="Earliest next_attempt_at among waiting deliveries.")
    next_due_at = models.DateTimeField(null=True, help_text="When a claim may next find work: oldest due, or the end of a hold.")
    full = models.BooleanField(default=False, help_text="At its concurrency cap: claimed again when an attempt ends.")
    calls = models.BooleanField(default=False, help_text="Its destination runs in a thread: claimed only while one is free.")
    hold_until = models.DateTimeField(null=True)
    hold_reason = models.CharField(max_length=12, choices=HoldReason.choices, default=HoldReason.NONE, blank=True)
    breaker = models.CharField(max_length=10, choices=BreakerState.choices, default=BreakerState.CLOSED)
    breaker_trips = models.PositiveSmallIntegerField(default=0, help_text="Holds in a row; the length of the next doubles.")
    consecutive_failures = models.PositiveIntegerField(default=0)
    breaker_failures = models.PositiveIntegerField(default=0, help_text="Those in a row that speak against the endpoint: no 4xx.")
    failing_since = models.DateTimeField(null=True)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    tokens = models.FloatField(default=0, help_text="Token bucket of the rate limit.")
    tokens_at = models.DateTimeField(null=True)
    pending_count = models.BigIntegerField(default=0)
    success_count = models.BigIntegerField(default=0)
    failed_count = models.BigIntegerField(default=0)
    cancelled_count = models.BigIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_due_at"], name="state_due_idx", condition=models.Q(enabled=True, full=False, next_due_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return f"state of {self.webhook_id}"
