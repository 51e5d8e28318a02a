"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """See the package's modules."""

    name = "webhooks"
    verbose_name = "Webhooks"
