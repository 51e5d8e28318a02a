"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import Tags, register

from builds.events import EVENT_TYPES as BUILD_TYPES
from core.event_types import catalogue
from repoguard import checks
from scans.events import EVENT_TYPES as SCAN_TYPES


class RepoguardConfig(AppConfig):
    """See the package's modules."""

    name = "repoguard"
    verbose_name = "RepoGuard"

    def ready(self) -> None:
        """Register the checks, and declare the event types of the rooms that have no tables yet."""
        register(checks.check_installation, Tags.security)
        register(checks.check_keys_in_use, Tags.security, deploy=True)
        catalogue.register([*BUILD_TYPES, *SCAN_TYPES])
