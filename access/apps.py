"""Registers the app."""

from __future__ import annotations

from django.apps import AppConfig


class AccessConfig(AppConfig):
    """See the package's modules."""

    name = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        """Declare the app's housekeeping."""
        from access.housekeeping import JOBS  # noqa: PLC0415 - they need the models, which are loaded by now
        from core import housekeeping  # noqa: PLC0415

        housekeeping.register(*JOBS)
