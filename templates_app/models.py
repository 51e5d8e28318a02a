"""IntegrationTemplate: a blueprint of an integration with its endpoints and webhooks. PayloadTemplate: what webhooks send."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from core.models import Owned
from templates_app.choices import ContentType


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


def every_event() -> list[str]:
    """Return the patterns of a template that is meant for all events."""
    return ["*"]


class PayloadTemplate(Owned):
    """A body, headers and additions to the address, for webhooks to send in place of the portal's own body.

    Its content is in its versions, which never change; `active` is the one that is sent.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True, max_length=2000)
    platform = models.CharField(max_length=40, blank=True, help_text="Key of the connector it is for; empty for webhooks to a URL.")
    content_type = models.CharField(max_length=40, choices=ContentType.choices, default=ContentType.JSON)
    events = models.JSONField(default=every_event, help_text="What it is meant for; it is checked with an example of each.")
    active = models.ForeignKey("TemplateVersion", null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    latest = models.PositiveIntegerField(default=0, editable=False, help_text="Number of its newest version.")
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "name"], name="payloadtemplate_name_once"),
            models.UniqueConstraint(fields=["name"], condition=models.Q(owner=None), name="payloadtemplate_name_once_admins"),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="payloadtemplate_owner_idx")]

    def __str__(self) -> str:
        return self.name


class TemplateVersion(models.Model):
    """The content of a payload template as somebody saved it. Attempts name it by its id, so it never changes."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    template = models.ForeignKey(PayloadTemplate, on_delete=models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    body = models.TextField(blank=True)
    headers = models.JSONField(default=dict)
    url_path = models.CharField(max_length=2000, blank=True)
    url_query = models.JSONField(default=dict)
    note = models.CharField(max_length=200, blank=True, help_text="Why it was made.")
    warnings = models.JSONField(default=list, help_text="What its check remarked without refusing it.")
    created_at = models.DateTimeField(db_default=Now())
    created_by = models.CharField(max_length=200, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="templateversion_number_once")]

    def __str__(self) -> str:
        return f"version {self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Store it once."""
        if not self._state.adding:
            raise TypeError("A version of a template never changes; make a new one.")
        super().save(*args, **kwargs)
