"""Repositories as JSON."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample, extend_schema_serializer
from rest_framework import serializers

from access.api.serializers import OwnerField
from core.api.serializers import StrictModelSerializer
from integrations.models import Repository

_WRITE = {"provider": "github", "full_name": "acme/shop", "default_branch": "main", "active": True}
_READ = {
    "id": "0192f0c1-2b3c-7d4e-8f50-61728394a5b6",
    **_WRITE,
    "owner": "team:payments",
    "created_at": "2026-11-20T09:30:00Z",
    "updated_at": "2026-11-20T09:30:00Z",
}


@extend_schema_serializer(
    examples=[
        OpenApiExample("A repository", value=_READ, response_only=True),
        OpenApiExample("A GitHub repository", value=_WRITE, request_only=True),
    ]
)
class RepositorySerializer(StrictModelSerializer[Repository]):
    """A repository; its events belong to its owner."""

    owner = OwnerField()
    full_name = serializers.CharField(max_length=255, help_text="owner/name, as the provider spells it.")
    default_branch = serializers.CharField(max_length=255, required=False)

    class Meta:
        model = Repository
        fields = tuple(_READ)
        read_only_fields = ("id", "created_at", "updated_at")
        # the service says what is wrong with a second one, under any isolation
        validators: list[object] = []
