"""Inbound webhooks: the sources that other systems send to, and every request as it came."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.fields import EncryptedBytesField, EncryptedJSONField
from core.ids import uuid7
from core.models import Owned, WorkRow
from core.models.work import WorkState
from integrations.models import Integration
from webhooks.choices import ReceiptOutcome, Verdict

REFUSED = models.Q(verdict=Verdict.REFUSED)
SETTLED = ~models.Q(outcome=ReceiptOutcome.WAITING)


class InboundSource(Owned):
    """Who may send webhooks here, and how they prove who they are. `secrets` has the form of Webhook.secrets: the first is the current."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    provider = models.CharField(max_length=40, help_text="Key of the connector that verifies and reads its requests.")
    config = models.JSONField(default=dict, blank=True, help_text="What that connector's source fields ask for.")
    secrets = EncryptedJSONField(editable=False)
    allowed_cidrs = models.JSONField(default=list, blank=True, help_text="Networks that it may send from; empty is any.")
    provider_addresses = models.BooleanField(
        default=False, help_text="Besides those networks, only the addresses that the provider publishes may send."
    )
    integration = models.ForeignKey(
        Integration,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="inbound_sources",
        help_text="Through which the platform is asked to send missed deliveries again.",
    )
    is_default = models.BooleanField(default=False, help_text="Also receives at the provider's address without an id.")
    active = models.BooleanField(default=True)
    validate_schema = models.BooleanField(default=False, help_text="Events that don't fit the schema of their type fail.")
    silence_seconds = models.PositiveIntegerField(
        null=True,
        blank=True,
        help_text="Announced as silent after so long without a request; 0 is never, empty is learned from past weeks.",
    )
    last_received_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_count = models.PositiveBigIntegerField(default=0, editable=False, help_text="Authentic requests that were interpreted.")
    refused_count = models.PositiveBigIntegerField(default=0, editable=False, help_text="Stored requests that were not authentic.")
    silent_since = models.DateTimeField(null=True, blank=True, editable=False, help_text="Announced as silent, since this last request.")
    failures_announced_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False, help_text="Hidden since; housekeeping removes its receipts and the row.")

    class Meta:
        verbose_name = "inbound source"
        constraints = [
            models.UniqueConstraint(fields=["provider"], condition=models.Q(is_default=True), name="inbound_source_one_default"),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="inbound_source_owner_idx")]

    def __str__(self) -> str:
        return self.name


class ReceiptManager(models.Manager["Receipt"]):
    """Leaves what is sealed to those who ask for it: one body that can't be decrypted must not hold up the others."""

    def get_queryset(self) -> models.QuerySet[Receipt]:
        """Return the receipts without headers and body."""
        return super().get_queryset().defer("sealed")


class Receipt(WorkRow):
    """One request to a source. Stored before it is interpreted; an authentic one is a piece of work until it is.

    `sealed` holds headers and, up to a size, the body; the body of a large one is in `parts` rows of ReceiptPart. Of a request that
    is not authentic the body's first 64 KB are kept.
    """

    turns = "source_id"
    # no constraint in the database: checking it would lock and touch the source's row once a request
    source = models.ForeignKey(InboundSource, on_delete=models.DO_NOTHING, related_name="receipts", db_index=False, db_constraint=False)
    owner_id = models.UUIDField(null=True, blank=True, help_text="Owner of the source, so that a team's list is one index scan.")
    received_at = models.DateTimeField()
    method = models.CharField(max_length=10, default="POST")
    remote_address = models.CharField(max_length=45, blank=True)
    size = models.PositiveIntegerField(default=0, help_text="Bytes of the body.")
    body_hash = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the body.")
    sealed: models.Field[bytes | None, bytes | None] = EncryptedBytesField(null=True, editable=False)
    parts = models.PositiveSmallIntegerField(default=0, editable=False)
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    reason = models.CharField(max_length=300, blank=True, help_text="Why it was refused.")
    dedupe_id = models.CharField(max_length=200, blank=True, help_text="The provider's id of the delivery.")
    event = models.CharField(max_length=100, blank=True, help_text="The provider's word for what happened.")
    result = models.CharField(max_length=10, choices=ReceiptOutcome.choices, default=ReceiptOutcome.WAITING, blank=True, editable=False)
    outcome = models.GeneratedField(
        expression=models.Case(
            models.When(state=WorkState.FAILED, then=models.Value(ReceiptOutcome.FAILED.value)),
            default=models.F("result"),
            output_field=models.CharField(max_length=10),
        ),
        output_field=models.CharField(max_length=10, choices=ReceiptOutcome.choices),
        db_persist=True,
    )
    duplicates = models.PositiveIntegerField(default=0, help_text="How often it came again after it was processed.")
    event_ids = models.JSONField(default=list, blank=True, help_text="The events that it became.")
    objects = ReceiptManager()

    class Meta:
        verbose_name = "inbound event"
        constraints = [
            models.UniqueConstraint(
                fields=["source", "dedupe_id"],
                condition=models.Q(result__in=[ReceiptOutcome.PROCESSED, ReceiptOutcome.IGNORED]) & ~models.Q(dedupe_id=""),
                name="receipt_settled_once",
            )
        ]
        indexes = [
            models.Index(fields=["source", "-id"], name="receipt_source_idx"),
            models.Index(fields=["owner_id", "-id"], name="receipt_owner_idx"),
            models.Index(fields=["event", "-id"], name="receipt_event_idx"),
            models.Index(fields=["outcome", "-id"], name="receipt_outcome_idx"),
            models.Index(fields=["-id"], name="receipt_refused_idx", condition=REFUSED),
            # what a source seldom has is found among its many others; it costs nothing when a request is taken in
            models.Index(fields=["source", "outcome", "-id"], name="receipt_source_outcome_idx", condition=SETTLED),
            models.Index(fields=["source", "run_after"], name="receipt_queued_idx", condition=models.Q(state=WorkState.QUEUED)),
            models.Index(fields=["lease_owner"], name="receipt_running_idx", condition=models.Q(state=WorkState.RUNNING)),
        ]

    def __str__(self) -> str:
        return f"{self.event or 'request'} {self.id}"


class SettledBody(models.Model):
    """A body that became events, of those that no two happenings share: under another id of a delivery it is a duplicate.

    Written by workers, beside the receipt: an index of the receipts themselves would cost each request.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(InboundSource, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)
    body_hash = models.CharField(max_length=64)
    receipt_id = models.UUIDField()

    class Meta:
        verbose_name_plural = "settled bodies"
        constraints = [models.UniqueConstraint(fields=["source", "body_hash"], name="settledbody_once")]

    def __str__(self) -> str:
        return f"body of {self.receipt_id}"


class ReceiptPart(models.Model):
    """A piece of a large body."""

    receipt = models.ForeignKey(Receipt, on_delete=models.CASCADE, related_name="+", db_index=False)
    number = models.PositiveSmallIntegerField()
    data = EncryptedBytesField()

    class Meta:
        verbose_name = "part of a large body"
        constraints = [models.UniqueConstraint(fields=["receipt", "number"], name="receipt_part_once")]

    def __str__(self) -> str:
        return f"part {self.number} of {self.receipt_id}"
