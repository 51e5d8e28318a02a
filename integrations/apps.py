"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class IntegrationsConfig(AppConfig):
    """See the package's modules."""

    name = "integrations"
    verbose_name = "Integrations"
