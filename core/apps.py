"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class CoreConfig(AppConfig):
    """See the package's modules."""

    name = "core"
    verbose_name = "Events and system"
