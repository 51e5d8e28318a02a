"""Health of integrations: where each stands, every check, and a summary per day."""

from __future__ import annotations

from django.db import models

from core.ids import uuid7
from integrations.choices import HealthState
from integrations.models.integration import Integration


class IntegrationHealth(models.Model):
    """Where an integration stands: the narrow row that checks change, so that they never wait for a form."""

    integration = models.OneToOneField(Integration, primary_key=True, on_delete=models.CASCADE, related_name="health")
    state = models.CharField(max_length=10, choices=HealthState.choices, default=HealthState.UNKNOWN)
    since = models.DateTimeField(null=True, blank=True, help_text="In this state since.")
    consecutive_failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True, blank=True)
    last_checked_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    not_measured = models.CharField(
        max_length=500, blank=True, help_text="Why the last check said nothing about the service: a fault of the portal's own."
    )
    next_check_at = models.DateTimeField(null=True, blank=True, db_index=True)
    lease_token = models.UUIDField(null=True, blank=True, help_text="The check under way.")
    lease_until = models.DateTimeField(null=True, blank=True)
    quota_warned_for = models.DateTimeField(null=True, blank=True, help_text="Quota window that was warned about.")
    expiry_warned_for = models.DateTimeField(null=True, blank=True, help_text="Expiry date of credentials that was warned about.")
    expiry_warned_days = models.PositiveSmallIntegerField(null=True, blank=True, help_text="At how many days before.")

    class Meta:
        verbose_name = "health record"
        verbose_name_plural = "health records"

    def __str__(self) -> str:
        return f"{self.integration_id}: {self.state}"


class HealthSample(models.Model):
    """One check."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="samples", db_index=False)
    checked_at = models.DateTimeField()
    ok = models.BooleanField(null=True, help_text="Empty: not measured, by a fault of the portal's own.")
    response_ms = models.FloatField(null=True, blank=True)
    error_class = models.CharField(max_length=30, blank=True)
    error = models.CharField(max_length=500, blank=True)
    trigger = models.CharField(max_length=10, default="schedule", help_text="schedule, or manual; only scheduled ones count for the SLA.")

    class Meta:
        indexes = [models.Index(fields=["integration", "-id"], name="healthsample_integration_idx")]

    def __str__(self) -> str:
        return f"{self.checked_at:%Y-%m-%d %H:%M} {'not measured' if self.ok is None else 'ok' if self.ok else 'failed'}"


class HealthDay(models.Model):
    """The checks of one integration on one day (UTC); kept when the samples are pruned."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="health_days", db_index=False)
    day = models.DateField()
    checks = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    unmeasured = models.PositiveIntegerField(default=0, help_text="Not among the checks: faults of the portal's own.")
    p50_ms = models.FloatField(null=True, blank=True)
    p95_ms = models.FloatField(null=True, blank=True)
    p99_ms = models.FloatField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration", "day"], name="healthday_once")]

    def __str__(self) -> str:
        return f"{self.day}"
