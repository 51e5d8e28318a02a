"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class TemplatesAppConfig(AppConfig):
    """See the package's modules."""

    name = "templates_app"
    verbose_name = "Templates"
