"""Inbound sources and receipts as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import SecretField, StrictModelSerializer, StrictSerializer
from webhooks.choices import BackfillStatus, ReceiptOutcome, ReprocessableOutcome, Verdict
from webhooks.inbound.missed import shown_status
from webhooks.inbound.reprocess import MOST_AT_ONCE
from webhooks.inbound.selectors import Shown, receiver_url
from webhooks.inbound.source_values import MAX_CIDRS, MAX_NAME, MAX_SECRET, MAX_SILENCE
from webhooks.models import InboundBackfill, InboundSource, Receipt

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_WRITE: dict[str, Any] = {
    "name": "GitHub of acme",
    "provider": "github",
    "config": {},
    "allowed_cidrs": [],
    "provider_addresses": False,
    "integration": None,
    "is_default": False,
    "active": True,
    "validate_schema": False,
    "silence_seconds": None,
}
_READ: dict[str, Any] = {
    "id": _ID,
    **_WRITE,
    "url": f"https://portal.example.com/api/v1/webhook/github/{_ID}",
    "owner": "team:payments",
    "last_received_at": "2026-11-20T09:30:00Z",
    "accepted_count": 1204,
    "refused_count": 3,
    "silent_since": None,
    "created_at": "2026-11-01T08:00:00Z",
    "updated_at": "2026-11-01T08:00:00Z",
}
_BACKFILL: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5d3",
    "source": _ID,
    "source_name": "GitHub of acme",
    "status": "running",
    "since": "2026-11-18T09:30:00Z",
    "automatic": False,
    "looked_at": 300,
    "requested": 12,
    "gone": 0,
    "more": False,
    "error": "",
    "started_by": "alice",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:04Z",
    "finished_at": None,
}
_RECEIPT: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5c7",
    "source": _ID,
    "source_name": "GitHub of acme",
    "provider": "github",
    "received_at": "2026-11-20T09:30:00Z",
    "method": "POST",
    "remote_address": "192.30.252.7",
    "size": 7421,
    "body_hash": "5b3d0a4a7a2b6c8f3f2c5a9de1b7dc2f0e6f6d0a1b9d6f0c3b7a2e1d4c5b6a79",
    "verdict": "accepted",
    "reason": "",
    "outcome": "processed",
    "error": "",
    "event": "workflow_run",
    "dedupe_id": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    "duplicates": 0,
    "event_ids": ["0192f0c1-2b3c-7d4e-8f50-61728394a5b8"],
    "finished_at": "2026-11-20T09:30:01Z",
}
_DETAIL: dict[str, Any] = _RECEIPT | {
    "headers": {"content-type": "application/json", "x-github-event": "workflow_run", "x-hub-signature-256": "***"},
    "body": '{"action": "completed"}',
    "body_truncated": False,
    "dropped_fields": [],
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A source", value=_READ, response_only=True),
        OpenApiExample("The least", value={"name": "GitHub of acme", "provider": "github"}, request_only=True),
        OpenApiExample("Everything", value=_WRITE | {"secret": "not-a-real-secret"}, request_only=True),
    ]
)
class InboundSourceSerializer(StrictModelSerializer[InboundSource]):
    """A source without its secret, which only creating and rotating show."""

    owner = OwnerField()
    name = serializers.CharField(max_length=MAX_NAME)
    provider = serializers.CharField(max_length=40, help_text="Key of a connector with the capability inbound; it can't be changed.")
    config = serializers.DictField(required=False, help_text="What the connector's source fields ask for.")
    allowed_cidrs = serializers.ListField(
        child=serializers.CharField(max_length=60), required=False, max_length=MAX_CIDRS, help_text="Empty is any address."
    )
    provider_addresses = serializers.BooleanField(
        required=False, help_text="Only the addresses that the provider publishes may send, besides `allowed_cidrs` (GitHub)."
    )
    integration = serializers.UUIDField(
        source="integration_id",
        required=False,
        allow_null=True,
        help_text="Through it the platform is asked to send missed deliveries again; the source's owner's, of the provider's type.",
    )
    is_default = serializers.BooleanField(
        required=False, help_text="Also receives at the provider's address without an id; only an admin may set it."
    )
    active = serializers.BooleanField(required=False, help_text="An inactive one refuses everything.")
    validate_schema = serializers.BooleanField(required=False, help_text="Requests whose events don't fit the schema of their type fail.")
    silence_seconds = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        max_value=MAX_SILENCE,
        help_text="Announced as silent after so long; 0 is never, null is learned from past weeks.",
    )
    secret = SecretField(max_length=MAX_SECRET, help_text="Generated where it is left out and the platform takes ours.")
    url = serializers.SerializerMethodField(help_text="Where the platform sends its webhooks.")

    class Meta:
        model = InboundSource
        fields: tuple[str, ...] = (*_READ, "secret")
        read_only_fields = ("id", "last_received_at", "accepted_count", "refused_count", "silent_since", "created_at", "updated_at")
        # the service says which source has the mark
        validators: list[Any] = []

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_url(self, source: InboundSource) -> str:
        """Return the source's address."""
        return receiver_url(source)


@extend_schema_serializer(examples=[OpenApiExample("With its secret, this once", value=_READ | {"secret": "…"}, response_only=True)])
class CreatedInboundSourceSerializer(InboundSourceSerializer):
    """A source with its new secret: the only answers that show it."""

    secret = serializers.CharField(read_only=True, allow_null=True, help_text="Null for a platform that needs none.")  # type: ignore[assignment]


@extend_schema_serializer(
    examples=[
        OpenApiExample("Generate one, the old one holds for two more hours", value={"overlap_hours": 2}, request_only=True),
        OpenApiExample("One that the platform made", value={"secret": "not-a-real-secret"}, request_only=True),
    ]
)
class RotateInboundSecretSerializer(StrictSerializer):
    """A rotation."""

    overlap_hours = serializers.FloatField(required=False, min_value=0, max_value=720, help_text="How long the old one verifies as well.")
    secret = SecretField(max_length=MAX_SECRET, help_text="Generated where it is left out and the platform takes ours.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("As far back as the platform can", value={}, request_only=True),
        OpenApiExample("Since a moment", value={"since": "2026-11-20T09:00:00Z"}, request_only=True),
    ]
)
class RequestBackfillSerializer(StrictSerializer):
    """From when on missed deliveries are looked for."""

    since = serializers.DateTimeField(required=False, help_text="By default, and at most, as far back as the platform can send again.")


@extend_schema_serializer(examples=[OpenApiExample("Under way", value=_BACKFILL, response_only=True)])
class BackfillSerializer(StrictModelSerializer[InboundBackfill]):
    """A request for missed deliveries, and how far it is. Done means that all were asked for, not that they arrived."""

    source = serializers.UUIDField(source="source_id", read_only=True)  # type: ignore[assignment]  # a field, not DRF's property
    source_name = serializers.CharField(source="source.name", read_only=True)
    status = serializers.SerializerMethodField()
    error = serializers.CharField(read_only=True, help_text="Why it failed or waits, or what there is to say.")

    class Meta:
        model = InboundBackfill
        fields: tuple[str, ...] = tuple(_BACKFILL)
        read_only_fields = fields

    def get_status(self, row: InboundBackfill) -> BackfillStatus:
        """Return where it stands."""
        return shown_status(row)


@extend_schema_serializer(examples=[OpenApiExample("A push", value={"event": "push"}, request_only=True)])
class SendSampleSerializer(StrictSerializer):
    """Which sample."""

    event = serializers.CharField(
        max_length=100, help_text="The platform's word, such as push; the refusal of another says which there are."
    )


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "It was taken", value={"event": "push", "verdict": "accepted", "reason": "", "receipt": _RECEIPT["id"]}, response_only=True
        )
    ]
)
class SampleResultSerializer(serializers.Serializer[Any]):
    """What became of a sample."""

    event = serializers.CharField()
    verdict = serializers.ChoiceField(choices=Verdict.choices)
    reason = serializers.CharField(help_text="Why it was refused.")
    receipt = serializers.UUIDField(help_text="Where it stands among the inbound events, with what became of it.")


@extend_schema_serializer(examples=[OpenApiExample("A request that became an event", value=_RECEIPT, response_only=True)])
class ReceiptSerializer(StrictModelSerializer[Receipt]):
    """One request as it came, without headers and body."""

    source = serializers.UUIDField(source="source_id", read_only=True)  # type: ignore[assignment]  # a field, not DRF's property
    source_name = serializers.CharField(source="source.name", read_only=True)
    provider = serializers.CharField(source="source.provider", read_only=True)
    outcome = serializers.ChoiceField(choices=ReceiptOutcome.choices, read_only=True, help_text="Empty for a refused one.")
    error = serializers.CharField(read_only=True, help_text="Why it failed, or what there is to say.")
    event_ids = serializers.ListField(child=serializers.UUIDField(), read_only=True, help_text="The events that it became, 100 at most.")
    event = serializers.CharField(read_only=True, help_text="The provider's word for what happened.")

    class Meta:
        model = Receipt
        fields: tuple[str, ...] = tuple(_RECEIPT)
        read_only_fields = fields


@extend_schema_serializer(examples=[OpenApiExample("With headers and body", value=_DETAIL, response_only=True)])
class ReceiptDetailSerializer(ReceiptSerializer):
    """A request with its headers and the start of its body; secrets are masked."""

    headers = serializers.SerializerMethodField(help_text="Null where they can't be decrypted any more.")
    body = serializers.SerializerMethodField(help_text="The first 64 KB; null where it can't be decrypted, or the settings hide bodies.")
    body_truncated = serializers.SerializerMethodField()
    dropped_fields = serializers.SerializerMethodField(help_text="Parts of the body with a build's log, which are not stored.")

    class Meta(ReceiptSerializer.Meta):
        fields = (*ReceiptSerializer.Meta.fields, "headers", "body", "body_truncated", "dropped_fields")
        read_only_fields = fields

    def _shown(self, receipt: Receipt) -> Shown:
        shown: Shown = receipt.shown  # type: ignore[attr-defined]  # read once by the view
        return shown

    @extend_schema_field({"type": "object", "nullable": True, "additionalProperties": {"type": "string"}})
    def get_headers(self, receipt: Receipt) -> dict[str, str] | None:
        """Return the headers, masked."""
        return self._shown(receipt).headers

    @extend_schema_field({"type": "string", "nullable": True})
    def get_body(self, receipt: Receipt) -> str | None:
        """Return the start of the body as text, masked."""
        return self._shown(receipt).body

    def get_body_truncated(self, receipt: Receipt) -> bool:
        """Say whether there is more than is shown."""
        return self._shown(receipt).truncated

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_dropped_fields(self, receipt: Receipt) -> list[str]:
        """Return what was left out."""
        return list(self._shown(receipt).dropped)


@extend_schema_serializer(
    examples=[OpenApiExample("What failed this morning", value={"since": "2026-11-20T08:00:00Z", "source": _ID}, request_only=True)]
)
class ReprocessSerializer(StrictSerializer):
    """Which requests to interpret again."""

    since = serializers.DateTimeField(help_text="Requests that came from then on.")
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="Before this time; now by default.")
    source = serializers.UUIDField(required=False, help_text="Only those of this source.")  # type: ignore[assignment]
    outcome = serializers.ChoiceField(
        choices=ReprocessableOutcome.choices, required=False, help_text="Only those with this outcome; failed by default."
    )


@extend_schema_serializer(examples=[OpenApiExample("All of them", value={"count": 12, "more": False}, response_only=True)])
class ReprocessAnswerSerializer(serializers.Serializer[Any]):
    """How many requests wait to be interpreted again."""

    count = serializers.IntegerField()
    more = serializers.BooleanField(help_text=f"The range holds more than the {MOST_AT_ONCE} that are taken at once: call again.")
