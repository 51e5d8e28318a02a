"""IntegrationTemplate: a blueprint from which an integration with its endpoints and webhooks is made."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import Owned


class IntegrationTemplate(Owned):
    """A quick start. Built-in ones ship with the code and are renewed at each start; custom ones are made by teams.

    `config` is `{"schema": <JSON Schema of the values asked for>, "defaults": {...}, "required": [...], "integration": {...}}`;
    `endpoints` and `webhooks` are lists of blueprints. Strings in them may name values as `{{ value }}`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    key = models.SlugField(max_length=60, null=True, blank=True, unique=True, help_text="Of a built-in template; empty for custom ones.")
    type = models.CharField(max_length=40, help_text="Key of the connector.")
    description = models.TextField(blank=True, max_length=2000)
    config = models.JSONField(default=dict)
    endpoints = models.JSONField(default=list, blank=True)
    webhooks = models.JSONField(default=list, blank=True)
    is_public = models.BooleanField(default=False, help_text="Everybody may use it; otherwise its owner only.")
    version = models.PositiveIntegerField(default=1, help_text="Raised by every change; an import names the version it came from.")
    origin = models.CharField(max_length=80, blank=True, editable=False, help_text="Where an imported one came from: a key or an id.")
    origin_version = models.PositiveIntegerField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "-id"], name="template_owner_idx"),
            models.Index(fields=["is_public", "-id"], name="template_public_idx"),
        ]

    def __str__(self) -> str:
        return self.name
