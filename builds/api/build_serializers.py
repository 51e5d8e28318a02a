"""Builds as JSON."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from builds.models import Build
from core.api.serializers import StrictModelSerializer, StrictSerializer

MAX_BUILDS = 1000
_BUILD: dict[str, Any] = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5ba",
    "project": "acme/shop",
    "source": "jenkins",
    "build_id": "4711",
    "attempt": 1,
    "repository": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    "number": "318",
    "workflow": "test",
    "branch": "main",
    "commit": "59b20b8d5c6ff8d09518454d4dd8b7b30f095ab5",
    "event": "push",
    "is_pull_request": False,
    "status": "failure",
    "conclusion": "unstable",
    "started_at": "2026-11-20T09:30:10Z",
    "finished_at": "2026-11-20T09:34:40Z",
    "duration_seconds": 270.0,
    "tests_run": 812,
    "tests_failed": 3,
    "jobs": 4,
    "language": "python",
    "actor": "alice",
    "url": "https://jenkins.example.com/job/shop/318/",
    "extra": {"gh_team_size": "7"},
    "owner": "team:payments",
    "created_at": "2026-11-20T09:34:41Z",
    "updated_at": "2026-11-20T09:34:41Z",
}
_NOT_REPORTED = ("id", "repository", "owner", "created_at", "updated_at")
_FULL = {name: value for name, value in _BUILD.items() if name not in _NOT_REPORTED}
_SHORT = {"build_id": "4712", "project": "acme/shop", "status": "passed", "started_at": "2026-11-20T09:40:00Z", "duration_seconds": 245}


@extend_schema_serializer(examples=[OpenApiExample("A build", value=_BUILD, response_only=True)])
class BuildSerializer(StrictModelSerializer[Build]):
    """One attempt of a CI run."""

    repository = serializers.UUIDField(source="repository_id", read_only=True, allow_null=True)
    owner = OwnerField(read_only=True, required=None)
    extra = serializers.DictField(read_only=True, help_text="Further TravisTorrent columns, by their names.")

    class Meta:
        model = Build
        fields: tuple[str, ...] = tuple(_BUILD)
        read_only_fields = fields


def _text(name: str, help_text: str = "") -> serializers.CharField:
    length = Build._meta.get_field(name).max_length  # type: ignore[union-attr]
    return serializers.CharField(required=False, allow_blank=True, allow_null=True, max_length=length, help_text=help_text)


def _count(help_text: str) -> serializers.IntegerField:
    return serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=2_147_483_647, help_text=help_text)


@extend_schema_serializer(
    examples=[OpenApiExample("All there is", value=_FULL, request_only=True), OpenApiExample("Little", value=_SHORT, request_only=True)]
)
class ReportBuildSerializer(StrictSerializer):
    """A build to store. What is left out, null or empty is not known, and erases nothing that is."""

    build_id = serializers.CharField(max_length=100, help_text="The CI system's own id of the run; a whole number is read as its digits.")
    project = serializers.CharField(max_length=255, help_text="owner/name; that of a known repository makes it that repository's.")
    status = serializers.CharField(max_length=40, help_text="queued, running, success, failure, …, or the CI system's own word.")
    source = serializers.CharField(required=False, max_length=40, help_text="Where it ran, such as jenkins; api by default.")  # type: ignore[assignment]  # a field, not DRF's property
    attempt = serializers.IntegerField(required=False, min_value=1, max_value=2_147_483_647, help_text="1 by default.")
    number = serializers.CharField(required=False, allow_blank=True, max_length=40)
    workflow = _text("workflow")
    branch = _text("branch")
    commit = _text("commit")
    event = _text("event", "What started it: push, pull_request, schedule, …")
    is_pull_request = serializers.BooleanField(required=False, allow_null=True)
    conclusion = _text("conclusion", "The CI system's own word for how it ended; taken from status when left out.")
    started_at = serializers.DateTimeField(required=False, allow_null=True)
    finished_at = serializers.DateTimeField(required=False, allow_null=True)
    duration_seconds = serializers.FloatField(required=False, allow_null=True, min_value=0, max_value=2_147_483_647)
    tests_run = _count("Tests that ran.")
    tests_failed = _count("Tests that failed.")
    jobs = _count("How many jobs it had.")
    language = _text("language")
    actor = _text("actor")
    url = _text("url", "http:// or https://.")
    extra = serializers.DictField(required=False, help_text="Anything more, up to 20,000 characters of JSON.")


@extend_schema_serializer(
    examples=[
        OpenApiExample("Two builds", value={"builds": [_FULL, _SHORT]}, request_only=True),
        OpenApiExample("Builds of the past", value={"builds": [_SHORT], "publish": False}, request_only=True),
    ]
)
class ReportBuildsSerializer(StrictSerializer):
    """Builds to store together."""

    builds = serializers.ListField(child=ReportBuildSerializer(), min_length=1, max_length=MAX_BUILDS)
    publish = serializers.BooleanField(
        required=False, default=True, help_text="Whether build.* events are published; turn it off for builds of the past."
    )


class _RejectedSerializer(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Its place in `builds`, from 0.")
    field = serializers.CharField()
    reason = serializers.CharField()


@extend_schema_serializer(
    examples=[
        OpenApiExample(
            "One of three is wrong",
            value={
                "created": 1, "updated": 1, "unchanged": 0,
                "rejected": [{"index": 2, "field": "status", "reason": "'exploded' is not known."}],
            },
            response_only=True,
        )
    ]
)  # fmt: skip
class StoredSerializer(serializers.Serializer[Any]):
    """What became of the builds."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField(help_text="Known already, with nothing new.")
    rejected = _RejectedSerializer(many=True)
