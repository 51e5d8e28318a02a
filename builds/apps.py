"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class BuildsConfig(AppConfig):
    """See the package's modules."""

    name = "builds"
    verbose_name = "Builds"
