"""Analyses as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from builds.analysis.dora import HOW_DEPLOYMENTS, MTTR_NOTE, NO_LEAD_TIME, PROXY
from builds.models import Analysis
from core.api.serializers import StrictModelSerializer, StrictSerializer

_WINDOW = {"since": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}
_ASKED: dict[str, Any] = {"project": "acme/shop", **_WINDOW}
_DURATIONS = {"count": 1062, "p50": 184.0, "p90": 402.5, "p95": 611.0}
_RECOVERY = {"recovered": 9, "mean_seconds": 5130.5, "median_seconds": 2700.0, "longest_seconds": 19020.0}
_RATES = {"completed": 1150, "failed": 80, "failure_rate": 0.069565}
_STREAK = {"since": "2026-11-12T09:34:40+00:00", "failures": 4, "seconds": 19020.0, "ongoing": False}
_NAMES = {"project": "acme/shop", "workflow": "test"}
_RESULT: dict[str, Any] = {
    "window": {"since": "2026-11-01T00:00:00+00:00", "until": "2026-12-01T00:00:00+00:00"},
    "builds": 1200,
    "counts": {"queued": 0, "running": 2, "success": 1070, "failure": 76, "timed_out": 4, "cancelled": 40, "skipped": 8},
    "completed": 1150,
    "success_rate": 0.930435,
    "duration_seconds": _DURATIONS,
    "mttr": {
        "default_branch": {**_RECOVERY, "ongoing": 0},
        "all_branches": {**_RECOVERY, "recovered": 31, "ongoing": 3},
        "groups": [{**_NAMES, "branch": "main", "is_default": True, **_RECOVERY, "longest_streak": _STREAK, "ongoing": None}],
    },
    "flaky": {
        "flaky_commits": 7,
        "failed_commits": 61,
        "flake_rate": 0.114754,
        "workflows": [
            {**_NAMES, "flaky_commits": 7, "failed_commits": 61, "flake_rate": 0.114754, "latest_commit": "59b20b8d5c6ff8d09518"}
        ],
    },
    "failure_rate": {
        "by_branch": [{"project": "acme/shop", "branch": "main", **_RATES}],
        "by_workflow": [{**_NAMES, **_RATES}],
        "by_weekday": [{"weekday": "Monday", **_RATES}],
        "by_hour": [{"hour": 0, **_RATES}],
        "heat_map": [[_RATES]],
    },
    "trend": {
        "unit": "day",
        "points": [
            {
                "start": "2026-11-01",
                "builds": 40,
                "completed": 38,
                "failed": 2,
                "success_rate": 0.947368,
                "duration_seconds": {"count": 36, "p50": 181.0, "p90": 399.0, "p95": 590.0},
            }
        ],
    },
    "slowest_workflows": [{**_NAMES, **_DURATIONS}],
    "dora": {
        "deployment_frequency": {
            "deployments": 26,
            "per_week": 6.067,
            "median_days_per_week": 4,
            "definition": HOW_DEPLOYMENTS,
            "reason": "",
        },
        "lead_time_seconds": {"value": None, "reason": NO_LEAD_TIME},
        "change_failure_proxy": {"pushes": 310, "failed": 22, "rate": 0.070968, "definition": PROXY},
        "time_to_restore": {"value": None, "reason": MTTR_NOTE},
    },
    "compare": {
        "window": {"since": "2026-10-02T00:00:00+00:00", "until": "2026-11-01T00:00:00+00:00"},
        "measures": [{"measure": "success_rate", "value": 0.930435, "compared": 0.912, "change": 0.018435}],
    },
}
_ANALYSIS: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    "status": "done",
    "project": "acme/shop",
    "branch": "",
    "workflow": "",
    **_WINDOW,
    "compare": {"since": "2026-10-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"},
    "builds": 1200,
    "error": "",
    "started_by": "user alice",
    "created_at": "2026-12-01T08:00:00Z",
    "finished_at": "2026-12-01T08:00:02Z",
}
_QUEUED = _ANALYSIS | {"status": "queued", "builds": 0, "finished_at": None, "result": None}


class WindowSerializer(StrictSerializer):
    """A window; what is left out is chosen."""

    since = serializers.DateTimeField(required=False, allow_null=True, help_text="As long before `until` as the first window is long.")
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="By default the `since` of the first window.")


class ComparedSerializer(serializers.Serializer[Any]):
    """The other window of a comparison."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField()


@extend_schema_serializer(
    examples=[
        OpenApiExample("A month of a project, and the month before", value=_ASKED | {"compare": {}}, request_only=True),
        OpenApiExample("One workflow on one branch", value=_ASKED | {"branch": "main", "workflow": "test"}, request_only=True),
        OpenApiExample("Every build there is", value={}, request_only=True),
    ]
)
class AnalyzeSerializer(StrictSerializer):
    """Which builds to analyse; what is left out limits nothing."""

    project = serializers.CharField(required=False, allow_blank=True, max_length=255, help_text="owner/name.")
    branch = serializers.CharField(required=False, allow_blank=True, max_length=255)
    workflow = serializers.CharField(required=False, allow_blank=True, max_length=255)
    since = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Builds that started from then on; by default from the first one, ten years at most."
    )
    until = serializers.DateTimeField(required=False, allow_null=True, help_text="Before this time; now by default.")
    compare = WindowSerializer(required=False, allow_null=True, help_text="Another window to compare with; {} is the period before.")


class _Shown(StrictModelSerializer[Analysis]):
    status = serializers.CharField(source="state", read_only=True, help_text="queued, running, done or failed.")
    compare = serializers.SerializerMethodField()

    @extend_schema_field(ComparedSerializer(allow_null=True))
    def get_compare(self, analysis: Analysis) -> dict[str, Any] | None:
        """Return the other window, or None."""
        if analysis.compare_since is None or analysis.compare_until is None:
            return None
        return {"since": _time(analysis.compare_since), "until": _time(analysis.compare_until)}


@extend_schema_serializer(
    component_name="Analysis",
    examples=[
        OpenApiExample("A finished analysis", value=_ANALYSIS | {"result": _RESULT}, response_only=True),
        OpenApiExample("One that waits for a worker", value=_QUEUED, response_only=True),
    ],
)
class AnalysisSerializer(_Shown):
    """An analysis and its measures. docs/analysis.md defines each of them."""

    result = serializers.JSONField(read_only=True, allow_null=True, help_text="Null until it is done; lists are shortened in the example.")

    class Meta:
        model = Analysis
        fields: tuple[str, ...] = (*_ANALYSIS, "result")
        read_only_fields = fields


def _time(at: datetime) -> str:
    return str(serializers.DateTimeField().to_representation(at))
