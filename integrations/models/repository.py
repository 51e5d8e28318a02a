"""Repository: what findings, builds and events are about."""

from __future__ import annotations

import secrets

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import Owned
from integrations.choices import Provider


def new_badge_token() -> str:
    """Return an unguessable name for a repository's badge."""
    return secrets.token_urlsafe(24)


class Repository(Owned):
    """A repository at a provider; its events belong to its owner."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=20, choices=Provider.choices)
    full_name = models.CharField(max_length=255, help_text="owner/name, as the provider spells it.")
    default_branch = models.CharField(max_length=255, default="main")
    active = models.BooleanField(default=True)
    badge_token = models.CharField(
        max_length=64, null=True, default=new_badge_token, unique=True, editable=False, help_text="Empty where nobody may see its badges."
    )
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "repositories"
        constraints = [models.UniqueConstraint(fields=["provider", "full_name"], name="repository_once_per_provider")]
        indexes = [
            models.Index(fields=["owner", "-id"], name="repository_owner_idx"),
            models.Index(fields=["full_name"], name="repository_name_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.provider}:{self.full_name}"
