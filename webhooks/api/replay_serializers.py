"""Recoveries as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import StrictModelSerializer, StrictSerializer
from core.event_types import MAX_NAME
from webhooks.models import Replay
from webhooks.models.replay import ReplayStatus
from webhooks.recovery import RECOVERABLE, Preview, Results, progress_of, results_of, shown_status
from webhooks.services.replays import DEFAULT_RATE, HIGHEST_RATE, LOWEST_RATE

_RECOVER: dict[str, Any] = {"since": "2026-11-20T08:00:00Z", "until": "2026-11-20T12:00:00Z", "rate_per_second": 20}
_PREVIEW = {"count": 412, "more": False, "oldest": "2026-11-20T08:01:12Z", "newest": "2026-11-20T11:58:40Z", "seconds": 20.6}
_REPLAY: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b9",
    "webhook": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    "webhook_name": "Deploy bot",
    "status": "running",
    "since": "2026-11-20T08:00:00Z",
    "until": "2026-11-20T12:00:00Z",
    "statuses": ["failed"],
    "event_types": [],
    "rate_per_second": 20.0,
    "estimated": 412,
    "requeued": 160,
    "skipped": 3,
    "percent": 39.6,
    "rate": 20.0,
    "eta_seconds": 12.5,
    "error": "",
    "started_by": "user alice",
    "created_at": "2026-11-20T12:05:00Z",
    "finished_at": None,
}
_RESULTS = {"arrived": 120, "failed_again": 30, "waiting": 10, "cancelled": 0, "more": False}


@extend_schema_serializer(
    examples=[
        OpenApiExample("Everything that failed this morning", value=_RECOVER, request_only=True),
        OpenApiExample("Look first", value=_RECOVER | {"event_types": ["scan.*"], "dry_run": True}, request_only=True),
    ]
)
class RecoverSerializer(StrictSerializer):
    """What to send again, and how fast."""

    since = serializers.DateTimeField(help_text="Deliveries that were created from then on.")
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="Before this time; now by default.")
    statuses = serializers.ListField(
        child=serializers.ChoiceField(choices=[status.value for status in RECOVERABLE]),
        required=False,
        max_length=len(RECOVERABLE),
        help_text="Which: failed by default.",
    )
    event_types = serializers.ListField(
        child=serializers.CharField(max_length=MAX_NAME),
        required=False,
        max_length=50,
        help_text="Exact names or wildcards such as scan.*; all by default.",
    )
    rate_per_second = serializers.FloatField(
        required=False, min_value=LOWEST_RATE, max_value=HIGHEST_RATE, help_text=f"At most so many a second; {DEFAULT_RATE:g} by default."
    )
    dry_run = serializers.BooleanField(required=False, default=False, help_text="Only count what would be sent.")


@extend_schema_serializer(examples=[OpenApiExample("A preview", value=_PREVIEW, response_only=True)])
class PreviewSerializer(serializers.Serializer[Preview]):
    """What a recovery would send."""

    count = serializers.IntegerField(help_text="Deliveries that match; at least so many where there may be more.")
    more = serializers.BooleanField(help_text="There may be more: of each status the oldest 100000 of the range were looked at.")
    oldest = serializers.DateTimeField(allow_null=True)
    newest = serializers.DateTimeField(allow_null=True)
    seconds = serializers.FloatField(help_text="How long it would take at the capped rate.")


@extend_schema_serializer(examples=[OpenApiExample("A running recovery", value=_REPLAY, response_only=True)])
class ReplaySerializer(StrictModelSerializer[Replay]):
    """A recovery and how far it is. Done means that all was sent again, not that it arrived."""

    webhook = serializers.UUIDField(source="webhook_id", read_only=True)
    webhook_name = serializers.CharField(source="webhook.name", read_only=True)
    status = serializers.SerializerMethodField()
    percent = serializers.SerializerMethodField(help_text="Share that was dealt with.")
    rate = serializers.SerializerMethodField(help_text="Deliveries a second, of late.")
    eta_seconds = serializers.SerializerMethodField(help_text="Seconds left at the capped rate; null unless it is running.")

    class Meta:
        model = Replay
        fields: tuple[str, ...] = tuple(_REPLAY)
        read_only_fields = fields

    def get_status(self, replay: Replay) -> ReplayStatus:
        """Return where it stands."""
        return ReplayStatus(shown_status(replay))

    def get_percent(self, replay: Replay) -> float:
        """Return the share that was dealt with."""
        return progress_of(replay).percent

    def get_rate(self, replay: Replay) -> float:
        """Return the latest rate."""
        return progress_of(replay).rate

    def get_eta_seconds(self, replay: Replay) -> float | None:
        """Return the seconds left."""
        return progress_of(replay).eta_seconds


class ResultsSerializer(serializers.Serializer[Results]):
    """Where the deliveries that were sent again stand now."""

    arrived = serializers.IntegerField()
    failed_again = serializers.IntegerField(help_text="Failed for good once more.")
    waiting = serializers.IntegerField(help_text="Not sent yet, under way, or waiting for another try.")
    cancelled = serializers.IntegerField()
    more = serializers.BooleanField(help_text="There may be more of each: of each status the oldest 100000 of the range were looked at.")


@extend_schema_serializer(examples=[OpenApiExample("A running recovery", value=_REPLAY | {"results": _RESULTS}, response_only=True)])
class ReplayDetailSerializer(ReplaySerializer):
    """A recovery, how far it is, and what became of what it sent."""

    results = serializers.SerializerMethodField()

    class Meta(ReplaySerializer.Meta):
        fields: tuple[str, ...] = (*ReplaySerializer.Meta.fields, "results")
        read_only_fields = fields

    @extend_schema_field(ResultsSerializer)
    def get_results(self, replay: Replay) -> dict[str, Any]:
        """Return where its deliveries stand."""
        return dict(ResultsSerializer(results_of(replay)).data)
