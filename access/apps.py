"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """See the package's modules."""

    name = "access"
    verbose_name = "Access"
