"""Words of the templates room."""

from __future__ import annotations

from django.db import models


class ContentType(models.TextChoices):
    """What a payload template makes."""

    JSON = "application/json", "JSON"
    TEXT = "text/plain", "plain text"
    XML = "application/xml", "XML"
    FORM = "application/x-www-form-urlencoded", "form"
