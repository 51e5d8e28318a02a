"""Integration: one configured connection to another system. Only people change it; what runs change is in rows beside it."""

from __future__ import annotations

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Now

from core.fields import EncryptedJSONField
from core.ids import uuid7
from core.models import Owned
from integrations.choices import Category, Criticality, Environment, Status

HOUR = 3600


class _Live(models.Manager["Integration"]):
    """Hides deleted integrations."""

    def get_queryset(self) -> models.QuerySet[Integration]:
        """Return those that were not deleted."""
        return super().get_queryset().filter(deleted_at__isnull=True)


class Integration(Owned):
    """A connector with its configuration and credentials. `type` is the connector's key; its fields say what `config` holds."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    type = models.CharField(max_length=40, help_text="Key of the connector; see GET /api/v1/connectors.")
    category = models.CharField(max_length=20, choices=Category.choices)
    environment = models.CharField(max_length=12, choices=Environment.choices, default=Environment.PRODUCTION)
    config = models.JSONField(default=dict, blank=True, help_text="As the connector's fields say; never a secret.")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    credentials = EncryptedJSONField(default=dict, editable=False)
    previous_credentials = EncryptedJSONField(null=True, editable=False)
    previous_until = models.DateTimeField(null=True, blank=True, editable=False, help_text="The old credentials are dropped then.")
    credentials_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    credentials_expire_at = models.DateTimeField(null=True, blank=True, help_text="Announced beforehand as an event.")
    metadata = models.JSONField(default=dict, blank=True, help_text="Free notes as a JSON object; never a secret.")
    purpose = models.TextField(blank=True, max_length=2000, help_text="Why it exists, for whoever finds it in two years.")
    exchanged_data = models.TextField(blank=True, max_length=2000, help_text="Which data goes out and comes in, for audits.")
    criticality = models.CharField(max_length=10, choices=Criticality.choices, default=Criticality.IMPORTANT)
    sla_availability = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(100)],
        help_text="Target in percent of checks, such as 99.5.",
    )
    sla_response_ms = models.PositiveIntegerField(null=True, blank=True, help_text="Target for the 95th percentile of checks.")
    quota_limit = models.PositiveIntegerField(null=True, blank=True, help_text="Calls per window; empty is no limit.")
    quota_window_seconds = models.PositiveIntegerField(default=HOUR, help_text="Length of the window, such as 3600 or 86400.")
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Calls a minute; empty is no limit.")
    breaker_failures = models.PositiveSmallIntegerField(default=5, help_text="Failures in a row that open the circuit breaker.")
    breaker_hold_seconds = models.PositiveIntegerField(
        default=30, help_text="First hold of an open breaker; it doubles each time, up to an hour."
    )
    timeout_seconds = models.PositiveSmallIntegerField(default=30, help_text="A call that takes longer has failed.")
    stale_seconds = models.PositiveIntegerField(
        default=0, help_text="How old an answer may be that stands in while the service can't be asked; 0 is never."
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(
        null=True, editable=False, help_text="Hidden since; housekeeping removes the row and its history in batches."
    )

    objects = _Live()
    stored: ClassVar[models.Manager[Integration]] = models.Manager()
    """Also those that were deleted."""

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="integration_owner_idx"),
            models.Index(fields=["type", "-id"], name="integration_type_idx"),
        ]

    def __str__(self) -> str:
        return self.name
