"""ApiKey and its use."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from access.choices import KeyEnvironment
from core.ids import uuid7
from core.models import Owned


class ApiKey(Owned):
    """A key for the API. Only its prefix and hash are stored; the key itself is shown once."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, help_text="What it is for; names may repeat.")
    prefix = models.CharField(max_length=24, unique=True, editable=False, help_text="The start of the key, by which it is found.")
    key_hash = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the whole key.")
    environment = models.CharField(max_length=4, choices=KeyEnvironment.choices, default=KeyEnvironment.LIVE)
    scopes = models.JSONField(default=list, help_text="For example webhooks:read, events:write; `all` is everything but events:system.")
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True, help_text="Requests a minute; empty is the portal's default.")
    unlimited = models.BooleanField(default=False, help_text="No rate limit at all.")
    allowed_cidrs = models.JSONField(default=list, blank=True, help_text="Networks it may be used from; empty is anywhere.")
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    last_used_address = models.GenericIPAddressField(null=True, blank=True)
    successor = models.OneToOneField("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="predecessor")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = "API key"
        indexes = [models.Index(fields=["owner", "-id"], name="apikey_owner_idx")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class ApiUsage(models.Model):
    """How often a key called a route on a day."""

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="usage")
    day = models.DateField()
    route = models.CharField(max_length=150, help_text="Method and route pattern.")
    requests = models.PositiveIntegerField(default=0)
    errors = models.PositiveIntegerField(default=0, help_text="Answers of 400 and above.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "day", "route"], name="api_usage_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.route}"
