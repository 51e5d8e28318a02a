"""What a policy would have decided, as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from core.api.serializers import StrictSerializer
from scans.choices import GateDecision
from scans.gates.conditions import Condition
from scans.gates.trying import MOST_LAST, USUAL_LAST

_ID = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6"
_SENTENCE = "no findings of severity medium or worse"
_TRY: dict[str, Any] = {
    "conditions": [Condition("all", "medium").stored()], "sla_days": {"critical": 7, "high": 30}, "repository": _ID, "last": 50,
}  # fmt: skip
_COUNTS = {"scans": 50, "passed_then": 48, "passed_now": 45, "now_passing": 0, "now_failing": 3}
_TRIAL: dict[str, Any] = {
    "scan": _ID, "repository": _ID, "repository_name": "acme/shop", "ref": "main", "commit": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
    "decided_at": "2026-11-20T12:05:02Z", "then": "passed", "now": "failed", "differs": True, "broken_then": [],
    "broken_now": [f"{_SENTENCE}: found 5"],
}  # fmt: skip
_TRIALS = {
    "summary": "Of the last 50 scans, 45 would have passed; 48 did. 3 that passed would have failed.",
    "counts": _COUNTS, "sentences": [_SENTENCE], "results": [_TRIAL],
}  # fmt: skip


@extend_schema_serializer(examples=[OpenApiExample("The last scans", value={"last": 50}, request_only=True)])
class LastSerializer(StrictSerializer):
    """On how many scans it is tried."""

    last = serializers.IntegerField(default=USUAL_LAST, min_value=1, max_value=MOST_LAST, help_text="So many scans, the newest first.")


@extend_schema_serializer(examples=[OpenApiExample("Conditions to try", value=_TRY, request_only=True)])
class DryRunSerializer(LastSerializer):
    """Conditions as a policy has them."""

    conditions = serializers.ListField(child=serializers.DictField(), help_text="As of a policy.")
    sla_days = serializers.DictField(default=dict, help_text="As of a policy.")
    repository = serializers.UUIDField(allow_null=True, required=False, help_text="Id; all that you see when left out.")


class TrialSerializer(StrictSerializer):
    """One scan."""

    scan = serializers.UUIDField(source="result.scan_id")
    repository = serializers.UUIDField(source="result.repository_id")
    repository_name = serializers.CharField(source="result.repository.full_name")
    ref = serializers.CharField(source="result.ref")
    commit = serializers.CharField(source="result.commit")
    decided_at = serializers.DateTimeField(source="result.created_at")
    then = serializers.ChoiceField(choices=GateDecision.choices, source="result.decision", help_text="What was decided.")
    now = serializers.ChoiceField(choices=GateDecision.choices, help_text="What these conditions would have decided.")
    differs = serializers.BooleanField()
    broken_then = serializers.ListField(child=serializers.CharField(), help_text="Conditions that broke it, with what they found.")
    broken_now = serializers.ListField(child=serializers.CharField(), help_text="Conditions that would have.")


class TrialCountsSerializer(StrictSerializer):
    """How many."""

    scans = serializers.IntegerField()
    passed_then = serializers.IntegerField()
    passed_now = serializers.IntegerField()
    now_passing = serializers.IntegerField(help_text="Failed then, would have passed.")
    now_failing = serializers.IntegerField(help_text="Passed then, would have failed.")


@extend_schema_serializer(examples=[OpenApiExample("What would have been", value=_TRIALS, response_only=True)])
class TrialsSerializer(StrictSerializer):
    """What would have been decided of the last scans, newest first."""

    summary = serializers.CharField()
    counts = TrialCountsSerializer()
    sentences = serializers.ListField(child=serializers.CharField(), help_text="The conditions in plain words.")
    results = TrialSerializer(many=True)
