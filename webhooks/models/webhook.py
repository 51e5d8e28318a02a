"""Webhook: where events are sent, which, and how. Only people change it; what the engine changes is in WebhookState."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.fields import EncryptedJSONField
from core.ids import uuid7
from core.models import Owned
from integrations.models import Integration, Repository
from templates_app.models import PayloadTemplate
from webhooks.choices import InactiveReason, Lane, WebhookStatus

DEFAULT_CONCURRENCY = 50


class Webhook(Owned):
    """An endpoint and its subscription. `secrets` is a list of {secret, expires_at}: the first signs, the others still do."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    url = models.URLField(max_length=2000, blank=True, help_text="Empty where the integration's destination knows its own address.")
    integration = models.ForeignKey(
        Integration, null=True, blank=True, on_delete=models.PROTECT, related_name="webhooks", help_text="Whose destination is used."
    )
    destination = models.JSONField(default=dict, blank=True, help_text="Options of that destination, as its connector's fields say.")
    payload_template = models.ForeignKey(
        PayloadTemplate,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="webhooks",
        help_text="What is sent; empty is the event.",
    )
    events = models.JSONField(default=list, help_text="Exact names and wildcards: finding.opened, scan.*, *.")
    filter = models.JSONField(null=True, blank=True, help_text="Conditions on the payload; see docs/webhooks.md.")
    routing = models.JSONField(null=True, blank=True, help_text="How events reach it; see docs/routing.md.")
    # what the engine looks for in `routing`, once a second
    expires_after = models.PositiveIntegerField(null=True, blank=True, editable=False)
    status = models.CharField(max_length=10, choices=WebhookStatus.choices, default=WebhookStatus.ACTIVE)
    inactive_reason = models.CharField(max_length=10, choices=InactiveReason.choices, default=InactiveReason.NONE, blank=True)
    status_changed_at = models.DateTimeField(null=True, blank=True, editable=False)
    secrets = EncryptedJSONField(editable=False)
    headers = EncryptedJSONField(null=True, blank=True, editable=False)
    retry_config = models.JSONField(null=True, blank=True, help_text='{"schedule": [seconds, …]}; empty is the default schedule.')
    rate_limit = models.FloatField(null=True, blank=True, help_text="Deliveries a second; empty is no limit.")
    concurrency = models.PositiveSmallIntegerField(default=DEFAULT_CONCURRENCY, help_text="Requests open at once.")
    priority = models.PositiveSmallIntegerField(choices=Lane.choices, default=Lane.NORMAL)
    repositories = models.ManyToManyField(Repository, through="WebhookRepository", blank=True, help_text="Only these; empty is all.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(
        null=True, editable=False, help_text="Hidden since; housekeeping removes the row and its log in batches."
    )

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="webhook_owner_idx"),
            models.Index(fields=["id"], name="webhook_expiring_idx", condition=models.Q(expires_after__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name


class WebhookRepository(models.Model):
    """A repository that a webhook is limited to."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE)
    # protected: a webhook that lost its last repository would receive the events of all
    repository = models.ForeignKey(Repository, on_delete=models.PROTECT)

    class Meta:
        verbose_name = "webhook limited to it"
        constraints = [models.UniqueConstraint(fields=["webhook", "repository"], name="webhook_repository_once")]

    def __str__(self) -> str:
        return f"{self.webhook_id} {self.repository_id}"


class Subscription(models.Model):
    """One entry of `Webhook.events`, so that fan-out finds the webhooks of a type by index."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="subscriptions")
    pattern = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["webhook", "pattern"], name="subscription_once")]
        indexes = [models.Index(fields=["pattern"], name="subscription_pattern_idx")]

    def __str__(self) -> str:
        return self.pattern
