"""What the door remembers of outbound calls: one log row each, breakers, quotas and cached answers.

They name their integration by a plain id: core knows no integration.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.fields import EncryptedTextField
from core.ids import uuid7


class CallPurpose(models.TextChoices):
    """What a call was made for."""

    CHECK = "check", "connection test"
    GATEWAY = "gateway", "gateway call"
    SCAN = "scan", "scan"
    BUILDS = "builds", "build import"
    DESTINATION = "destination", "delivery"
    FOLLOW_UP = "follow_up", "follow-up of a delivery"
    BACKFILL = "backfill", "missed webhooks"
    SIGN_IN = "sign_in", "sign-in (OAuth2)"
    OTHER = "other", "other"


class CallOutcome(models.TextChoices):
    """How one call ended."""

    SUCCESS = "success", "answered as expected"
    NOT_MODIFIED = "not_modified", "not modified: the cached answer was used"
    CACHED = "cached", "answered from the cache, nothing was sent"
    STALE = "stale", "answered with an older answer, because the service could not be asked"
    UNEXPECTED = "unexpected", "answered with an unexpected status or body"
    FAILED = "failed", "no usable answer"
    REFUSED = "refused", "not sent: refused by a limit, the breaker or the address guard"


class CircuitState(models.TextChoices):
    """Where a breaker stands."""

    CLOSED = "closed", "closed: calls go through"
    OPEN = "open", "open: calls are refused"
    HALF_OPEN = "half_open", "half open: one probe decides"


class RequestLog(models.Model):
    """One outbound call of a connector, redacted. Append-only; also calls that were refused before anything was sent."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    integration_id = models.UUIDField(null=True, blank=True)
    owner_id = models.UUIDField(null=True, blank=True)
    purpose = models.CharField(max_length=12, choices=CallPurpose.choices, default=CallPurpose.OTHER)
    endpoint = models.CharField(max_length=100, blank=True, help_text="Named endpoint, for gateway calls.")
    method = models.CharField(max_length=10)
    url = models.CharField(max_length=2000, help_text="Without credentials.")
    outcome = models.CharField(max_length=12, choices=CallOutcome.choices)
    attempt = models.PositiveSmallIntegerField(default=1, help_text="Which try of the same call, from 1.")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error_class = models.CharField(max_length=30, blank=True)
    error = models.CharField(max_length=500, blank=True, help_text="What happened and the likely fix.")
    retry_after = models.FloatField(null=True, blank=True, help_text="Seconds that the service or a limit asked to wait.")
    request_headers = models.JSONField(default=dict)
    response_headers = models.JSONField(default=dict)
    request_bytes = models.PositiveIntegerField(default=0)
    response_bytes = models.PositiveIntegerField(default=0)
    response_body = models.TextField(blank=True, help_text="The beginning of an unexpected answer; expected ones are not kept.")
    address = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField()
    duration_ms = models.FloatField(null=True, blank=True)
    actor = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name = "outbound call"
        indexes = [
            models.Index(fields=["integration_id", "-id"], name="requestlog_integration_idx"),
            models.Index(fields=["owner_id", "-id"], name="requestlog_owner_idx"),
            models.Index(fields=["integration_id", "outcome", "-id"], name="requestlog_outcome_idx"),
            models.Index(fields=["outcome", "-id"], name="requestlog_all_outcome_idx"),
            # the other filters are offered for the calls of one integration only, so that these bound them
            models.Index(fields=["integration_id", "purpose", "-id"], name="requestlog_of_purpose_idx"),
            models.Index(fields=["integration_id", "endpoint", "-id"], name="requestlog_endpoint_idx"),
            models.Index(
                fields=["integration_id", "status_code", "-id"],
                name="requestlog_status_idx",
                condition=models.Q(status_code__isnull=False),  # what was not sent, or not answered, has none
            ),
        ]

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Circuit(models.Model):
    """The breaker of one integration, shared by all processes: changed by single conditional statements."""

    integration_id = models.UUIDField(primary_key=True)
    state = models.CharField(max_length=10, choices=CircuitState.choices, default=CircuitState.CLOSED)
    failures = models.PositiveIntegerField(default=0, help_text="Failures in a row.")
    trips = models.PositiveSmallIntegerField(default=0, help_text="How often it opened without a success since; lengthens the hold.")
    opened_at = models.DateTimeField(null=True, blank=True)
    hold_until = models.DateTimeField(null=True, blank=True, help_text="When it lets a probe through.")
    probe_token = models.UUIDField(null=True, blank=True, help_text="The one call under way while half open.")
    last_error = models.CharField(max_length=500, blank=True)
    changed_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"breaker of {self.integration_id}"


class QuotaUsage(models.Model):
    """Calls of one integration in one window."""

    integration_id = models.UUIDField()
    window_start = models.DateTimeField()
    window_seconds = models.PositiveIntegerField()
    used = models.PositiveIntegerField(default=0)
    limit = models.PositiveIntegerField(default=0, help_text="The quota in force when it was last used.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration_id", "window_seconds", "window_start"], name="quota_once_per_window")]

    def __str__(self) -> str:
        return f"{self.used} of {self.limit}"


class CachedAnswer(models.Model):
    """A good answer of a service: for conditional requests (ETag), for reuse while it is fresh, and as a stale fallback.

    `key` is a hash over integration, method, URL, varying headers and a fingerprint of the credentials, so that an answer is
    never given to other credentials. The body is encrypted: it may hold anything.
    """

    key = models.CharField(primary_key=True, max_length=64)
    integration_id = models.UUIDField()
    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    status_code = models.PositiveSmallIntegerField()
    body = EncryptedTextField(help_text="Base64 of the headers as JSON, a line's end, and the bytes.")
    stored_at = models.DateTimeField()
    fresh_until = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(help_text="Pruned after that.")

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], name="cachedanswer_expiry_idx"),
            models.Index(fields=["integration_id"], name="cachedanswer_integration_idx"),
        ]

    def __str__(self) -> str:
        return f"answer of {self.stored_at:%Y-%m-%d %H:%M}"
