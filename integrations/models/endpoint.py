"""Endpoint: a named call that teams may make through an integration, without its credentials."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from core.ids import uuid7
from integrations.models.integration import Integration


class Method(models.TextChoices):
    """HTTP methods of endpoints."""

    GET = "GET", "GET"
    POST = "POST", "POST"
    PUT = "PUT", "PUT"
    PATCH = "PATCH", "PATCH"
    DELETE = "DELETE", "DELETE"


class Endpoint(models.Model):
    """What may be called: method, path template (`/issues/{id}`), parameters with a JSON Schema. It is seen with its integration."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="endpoints")
    name = models.SlugField(max_length=60, help_text="Part of its URL: lower case letters, digits, hyphens.")
    description = models.CharField(max_length=500, blank=True)
    method = models.CharField(max_length=6, choices=Method.choices, default=Method.GET)
    path = models.CharField(max_length=1000, help_text="Below the integration's base URL; {name} is a path parameter.")
    parameters = models.JSONField(
        default=dict, blank=True, help_text="JSON Schema of an object: path and query parameters. Others are refused."
    )
    body_schema = models.JSONField(null=True, blank=True, help_text="JSON Schema of the body; empty: no body is taken.")
    fixed_query = models.JSONField(default=dict, blank=True, help_text="Query parameters sent with every call.")
    cache_seconds = models.PositiveIntegerField(default=0, help_text="How long an answer to the same GET is reused.")
    scope = models.CharField(
        max_length=60, blank=True, help_text="Scope that a key needs besides integrations:read or :write; empty is none."
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["integration", "name"], name="endpoint_name_once")]

    def __str__(self) -> str:
        return self.name
