"""RiskAcceptance: what people decided about a finding, why, and until when."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from core.ids import uuid7
from scans.choices import Triage
from scans.models.finding import Finding


class RiskAcceptance(models.Model):
    """One decision; the last one that was not ended is in force. Kept as evidence after it ended."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    finding = models.ForeignKey(Finding, on_delete=models.CASCADE, related_name="decisions", db_index=False)
    triage = models.CharField(max_length=14, choices=Triage.choices)
    reason = models.TextField()
    decided_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(fields=["finding", "-id"], name="acceptance_finding_idx"),
            models.Index(
                fields=["expires_at"], name="acceptance_expiry_idx", condition=models.Q(ended_at__isnull=True, expires_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.triage} by {self.decided_by}"

    @classmethod
    def due(cls) -> models.QuerySet[RiskAcceptance]:
        """Return the decisions whose day has come."""
        return cls.objects.filter(ended_at__isnull=True, expires_at__lte=timezone.now())
