"""Repositories as JSON."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import StrictModelSerializer
from integrations.models import Repository, RepositorySource
from integrations.services.sources import MOST_HOURS

_WRITE = {"provider": "github", "full_name": "acme/shop", "default_branch": "main", "active": True}
_SOURCE = {
    "integration": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    "scan_on_push": True,
    "scan_on_pull_request": False,
    "scan_on_alert": True,
    "every_hours": 24,
}
_READ = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    **_WRITE,
    "sources": [_SOURCE],
    "owner": "team:payments",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}


class SourceSerializer(StrictModelSerializer[RepositorySource]):
    """An integration that scans the repository, and when."""

    integration = serializers.UUIDField(source="integration_id", help_text="One that findings are read from.")
    every_hours = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MOST_HOURS,
        help_text="Hours between scans of the default branch; null: none by the clock. 24 when left out.",
    )  # fmt: skip

    class Meta:
        model = RepositorySource
        fields = tuple(_SOURCE)


@extend_schema_serializer(
    examples=[
        OpenApiExample("A repository", value=_READ, response_only=True),
        OpenApiExample("A GitHub repository", value=_WRITE, request_only=True),
        OpenApiExample("One that is scanned", value=_WRITE | {"sources": [_SOURCE]}, request_only=True),
    ]
)
class RepositorySerializer(StrictModelSerializer[Repository]):
    """A repository; its events belong to its owner."""

    owner = OwnerField()
    full_name = serializers.CharField(max_length=255, help_text="owner/name, as the provider spells it.")
    default_branch = serializers.CharField(max_length=255, required=False)
    sources = SourceSerializer(many=True, required=False, help_text="Integrations that scan it. Left out, they stay as they are.")

    class Meta:
        model = Repository
        fields = tuple(_READ)
        read_only_fields = ("id", "created_at", "updated_at")
        # the service says what is wrong with a second one, under any isolation
        validators: list[object] = []
