"""Replay: a recovery of many deliveries, worked off in steps at a capped rate; can be paused, resumed and cancelled."""

from __future__ import annotations

from django.db import models

from core.models import WorkRow
from webhooks.models.webhook import Webhook


class ReplayStatus(models.TextChoices):
    """What people asked of a replay; where its work stands is in `state`."""

    RUNNING = "running", "running"
    PAUSED = "paused", "paused"
    DONE = "done", "done"
    CANCELLED = "cancelled", "cancelled"
    FAILED = "failed", "failed"


class Replay(WorkRow):
    """Redelivers the deliveries of a webhook that were created in [since, until), by status and event type.

    `cursor` is the last delivery that was looked at, so that a killed step is repeated without doubling anything: a delivery
    that is pending again, or that succeeded since the replay began, is skipped.
    """

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="replays", db_index=False)
    owner_id = models.UUIDField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=ReplayStatus.choices, default=ReplayStatus.RUNNING)
    since = models.DateTimeField()
    until = models.DateTimeField()
    statuses = models.JSONField(default=list, help_text="Of deliveries: failed, cancelled, success.")
    event_types = models.JSONField(default=list, blank=True, help_text="Exact names or wildcards; empty is all.")
    rate_per_second = models.FloatField(help_text="At most so many deliveries become due a second.")
    estimated = models.PositiveIntegerField(default=0, help_text="How many matched when it was started.")
    cursor = models.UUIDField(null=True, blank=True)
    requeued = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    started_by = models.CharField(max_length=200, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "recovery"
        verbose_name_plural = "recoveries"
        indexes = [
            models.Index(fields=["webhook", "-id"], name="replay_webhook_idx"),
            models.Index(fields=["owner_id", "-id"], name="replay_owner_idx"),
            models.Index(fields=["state", "run_after"], name="replay_due_idx"),
            models.Index(fields=["lease_owner"], name="replay_lease_idx", condition=models.Q(lease_owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"replay of {self.webhook_id}"
